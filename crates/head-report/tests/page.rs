//! The page as a whole: hostile names, nothing from outside, parts present and absent.

use head_report::{
    Bin, ClassScore, Confusion, Curve, Curves, Duplicate, Duplicates, Ending, EpochFigures, Fact, Grid, GridCell,
    LearningCurve, LearningLine, LearningPoint, Map, MapPoint, Mistake, Mistakes, Page, Provenance, Reliability,
    ReliabilityDiagram, Section, SplitScores, Thumbnail,
};

const HOSTILE: &str = "</style><script src=x>alert('&\"')</script>\u{202e}";

fn thumbnail() -> Thumbnail {
    Thumbnail { width: 4, height: 4, rgb: (0..48).map(|v| v * 5).collect() }
}

/// A page with everything on it, every text being `name`.
fn page(name: &str, n_classes: usize) -> Page {
    let epoch = |i: usize| EpochFigures {
        train_loss: 2.0 / (i + 1) as f64,
        train_accuracy: 0.5 + 0.04 * i as f64,
        validation_loss: Some(2.1 / (i + 1) as f64),
        validation_accuracy: Some(0.5 + 0.03 * i as f64),
    };
    let curve = || Curve { label: name.into(), epochs: (0..10).map(epoch).collect() };
    let cell = |decay: usize, ending: Ending| GridCell { rate: 0, decay, ending, chosen: decay == 0 };
    let bin = Bin { lower: 0.8, upper: 1.0, count: 9, confidence: 0.9, accuracy: 0.8 };
    let diagram = ReliabilityDiagram { ece: 0.1, bins: vec![bin] };
    let point = |per_class: Option<usize>| LearningPoint { per_class, rows: 20, mean: 0.6, lowest: 0.5, highest: 0.7 };
    let line = || LearningLine { name: name.into(), points: vec![point(Some(1)), point(None)] };
    let scores = SplitScores {
        name: "test",
        rows: 100,
        accuracy: 0.8,
        balanced_accuracy: 0.79,
        macro_f1: 0.78,
        loss: 0.5,
        ece: Some((0.1, 0.02)),
    };
    let fact = || Fact { name: name.into(), value: name.into() };
    Page {
        title: name.into(),
        summary: name.into(),
        classes: (0..n_classes).map(|i| format!("{name}{i}")).collect(),
        splits: vec![scores],
        temperature: Some(1.3),
        curves: Curves { settings: vec![curve(), curve()], chosen: 1, best_epoch: 9 },
        grid: Grid {
            rates: vec![name.into()],
            decays: vec![name.into(), "0.1".into()],
            cells: vec![
                cell(0, Ending::Finished { loss: 0.4, accuracy: Some(0.8) }),
                cell(1, Ending::Diverged { epoch: 3 }),
            ],
            chosen_by: "validation",
        },
        confusion: Section::Shown(Confusion { counts: (0..n_classes * n_classes).map(|i| i as u64 % 7).collect() }),
        per_class: Section::Shown(vec![ClassScore { precision: 0.5, recall: 0.25, f1: 0.3, support: 9 }; n_classes]),
        reliability: Section::Shown(Reliability {
            split: "test",
            before: diagram.clone(),
            after: diagram,
            temperature: 1.3,
        }),
        mistakes: Section::Shown(Mistakes {
            shown: vec![Mistake { picture: thumbnail(), id: name.into(), label: 0, predicted: 1, probability: 0.99 }],
            n_wrong: 20,
        }),
        map: Section::Shown(Map {
            split: "test",
            points: (0..50)
                .map(|i| MapPoint { x: f64::from(i).sin(), y: f64::from(i).cos(), class: i as usize % n_classes })
                .collect(),
            n_rows: 100,
            explained: [0.4, 0.2],
        }),
        learning_curve: Section::Shown(LearningCurve { lines: vec![line(), line()], n_draws: 5 }),
        duplicates: Section::Shown(Duplicates {
            shown: vec![Duplicate {
                train: thumbnail(),
                test: thumbnail(),
                ids: (name.into(), name.into()),
                labels: (0, 1),
                difference: 0.0,
                similarity: 1.0,
            }],
            n_pairs: 3,
            rule: name.into(),
        }),
        provenance: Provenance { command: name.into(), facts: vec![fact()], settings: vec![fact()] },
    }
}

#[test]
fn hostile_names_stay_text() {
    for n_classes in [3, 40] {
        let html = page(HOSTILE, n_classes).to_html();
        assert!(!html.contains("<script") && !html.contains("alert('"), "a name has become markup");
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(!html.contains('\u{202e}'), "a bidirectional control got through");
        assert!(html.contains("&lt;script src=x&gt;alert(&#39;&amp;&quot;&#39;)"));
    }
}

#[test]
fn every_tag_is_closed() {
    // Names without angle brackets, so that each `<` opens or closes an element.
    for n_classes in [2, 40] {
        let html = page("a", n_classes).to_html();
        let mut open = Vec::new();
        for tag in html.split('<').skip(1).map(|t| t.split('>').next().unwrap()) {
            let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
            let is_void = ["meta", "img", "br"].contains(&name.as_str()) || tag.starts_with('!') || tag.ends_with('/');
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "closing <{tag}>");
            } else if !is_void {
                open.push(name);
            }
        }
        assert!(open.is_empty(), "never closed: {open:?}");
    }
}

#[test]
fn nothing_comes_from_elsewhere() {
    let html = page("class", 5).to_html();
    for outside in ["http:", "https:", "//", "<script", "<link", "@import", "@font-face", "url(", "srcset", "<iframe"] {
        let found = html.replace("data:image/png;base64,", "").match_indices(outside).count();
        // Base64 may hold `//`, so it is looked for as the start of an address only.
        let found = if outside == "//" { html.matches("\"//").count() } else { found };
        assert_eq!(found, 0, "{outside}");
    }
    assert_eq!(html.matches("src=\"").count(), html.matches("src=\"data:image/png;base64,iVBOR").count());
    assert!(html.contains("Content-Security-Policy"));
}

#[test]
fn parts_without_data_are_left_out_with_a_reason() {
    let full = page("class", 5);
    let html = full.to_html();
    for shown in [
        "Test accuracy by labelled examples a class",
        "Map of the features",
        "data:image/png",
        "identical",
        "diverged",
        "chosen",
    ] {
        assert!(html.contains(shown), "{shown}");
    }
    let why = |what: &str| format!("No {what} & no reason to worry.");
    let bare = Page {
        confusion: Section::LeftOut(why("test rows")),
        per_class: Section::LeftOut(why("test rows")),
        reliability: Section::LeftOut(why("validation rows")),
        mistakes: Section::LeftOut(why("pictures")),
        map: Section::LeftOut(why("map")),
        learning_curve: Section::LeftOut(why("curve")),
        duplicates: Section::LeftOut(why("pictures")),
        temperature: None,
        ..full
    };
    let html = bare.to_html();
    assert_eq!(html.matches("&amp; no reason to worry.").count(), 7);
    assert!(!html.contains("data:image/png") && !html.contains("class=\"heat matrix\""));
}

#[test]
fn many_classes_become_pairs_and_a_fold() {
    let html = page("class", 40).to_html();
    assert!(html.contains("most confused of") && html.contains("weakest classes") && html.contains("All 40 classes"));
    assert!(html.contains("other classes"), "the map has shapes and colours for 24 only");
    assert!(!html.contains("class=\"heat matrix\""));
}

#[test]
fn the_same_page_gives_the_same_bytes() {
    assert_eq!(page("class", 12).to_html(), page("class", 12).to_html());
}
