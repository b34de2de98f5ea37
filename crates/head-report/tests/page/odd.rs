//! Pages of odd and of sick input: every one is drawn, and has numbers where an attribute needs some.

use head_report::{
    Bin, ClassScore, Confusion, Curve, Curves, Ending, EpochFigures, Grid, GridCell, LearningCurve, LearningLine,
    LearningPoint, Map, MapPoint, Mistakes, Named, Page, PerClass, Provenance, Reliability, ReliabilityDiagram,
    Section, SplitScores, Thumbnail,
};

use crate::assert_closed;
use crate::full::page;

/// Attributes that hold words of the page or of whoever named a class; all others are for the browser to compute with.
const WORDS: [&str; 7] = ["title", "aria-label", "aria-labelledby", "alt", "content", "src", "id"];

/// Tags are closed and no attribute holds what is no number.
fn assert_sane(html: &str, what: &str) {
    assert_closed(html);
    for tag in html.split('<').skip(1).map(|t| t.split('>').next().unwrap()) {
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once("=\"") {
            let name = before.rsplit(' ').next().unwrap();
            let (value, next) = after.split_once('"').unwrap_or_else(|| panic!("{what}: open quote in <{tag}>"));
            let is_sick = ["NaN", "inf"].iter().any(|sick| value.contains(sick));
            assert!(WORDS.contains(&name) || !is_sick, "{what}: {name}=\"{value}\" in <{}", &tag[..tag.len().min(80)]);
            rest = next;
        }
    }
    assert!(html.starts_with("<!DOCTYPE html>") && html.ends_with("</html>\n"), "{what}");
}

#[test]
fn any_number_of_classes_with_any_names_makes_a_sane_page() {
    let long = "Donaudampfschifffahrt-".repeat(9);
    let names = ["a", "", " ", &long, "tab\t new\nline \u{1b}[1m \u{202e}", "&\"' <i>", "鳥 \u{1f99c}"];
    for (nth, name) in names.into_iter().enumerate() {
        for n_classes in [1, 2, 25, 26, 100, 101, 1000] {
            // The large pages are slow in a debug build, and their size has nothing to do with the name.
            if nth > 1 && n_classes > 100 {
                continue;
            }
            let html = page(name, n_classes).to_html();
            assert!(!html.contains("NaN"), "{name:?}, {n_classes} classes");
            assert_sane(&html, &format!("{name:?}, {n_classes} classes"));
            assert!(html.len() < 6 << 20, "{name:?}, {n_classes} classes: {} bytes", html.len());
        }
    }
    assert!(page("a", 1).to_html().contains("1 class. "));
}

#[test]
fn nothing_at_all_makes_a_sane_page() {
    let full = page("a", 0);
    assert_sane(&full.to_html(), "no classes");
    let why = || "Nothing.".to_string();
    let empty = Page {
        title: String::new(),
        summary: String::new(),
        splits: Vec::new(),
        curves: Curves { settings: Vec::new(), chosen: 0, best_epoch: 0 },
        grid: Grid { rates: Vec::new(), decays: Vec::new(), cells: Vec::new(), chosen_by: "training" },
        reliability: Section::LeftOut(why()),
        duplicates: Section::LeftOut(why()),
        confusion: Section::Shown(Confusion { split: "test", counts: Vec::new() }),
        per_class: Section::Shown(PerClass { split: "test", scores: Vec::new() }),
        mistakes: Section::Shown(Mistakes { split: "test", shown: Vec::new(), n_wrong: 0 }),
        learning_curve: Section::Shown(LearningCurve { lines: Vec::new(), n_draws: 0 }),
        provenance: Provenance::default(),
        ..full
    };
    assert_sane(&empty.to_html(), "nothing");
    let no_points = LearningCurve { lines: vec![LearningLine { name: "a".into(), points: Vec::new() }], n_draws: 5 };
    let html = Page { learning_curve: Section::Shown(no_points), ..empty.clone() }.to_html();
    assert_sane(&html, "no points");
    assert!(html.contains("Nothing was measured."));
    // Classes without the rows to go with them.
    let html = Page { classes: vec!["a".into(); 30], ..empty }.to_html();
    assert_sane(&html, "no rows");
    assert!(html.contains("No test row was taken for another class."));
}

/// A page whose every figure is `sick`.
fn of(sick: f64, n_classes: usize) -> Page {
    let epoch = EpochFigures {
        train_loss: sick,
        train_accuracy: sick,
        validation_loss: Some(sick),
        validation_accuracy: Some(sick),
    };
    let healthy = EpochFigures { train_loss: 1.0, validation_loss: Some(1.2), ..epoch };
    let curve = |epochs: Vec<EpochFigures>| Curve { label: "a".into(), epochs };
    let cell = |decay: usize, loss: f64| GridCell {
        rate: 0,
        decay,
        ending: Ending::Finished { loss, accuracy: Some(sick) },
        chosen: decay == 1,
    };
    let bin = Bin { lower: 0.0, upper: 0.1, count: 3, confidence: sick, accuracy: sick };
    let diagram = || ReliabilityDiagram { ece: sick, bins: vec![bin] };
    let point = LearningPoint { per_class: Some(1), rows: 1, mean: sick, lowest: sick, highest: sick };
    let line = |points: Vec<LearningPoint>| LearningLine { name: "a".into(), points };
    Page {
        splits: vec![SplitScores {
            name: "test",
            rows: 0,
            accuracy: sick,
            balanced_accuracy: sick,
            macro_f1: sick,
            loss: sick,
            ece: Some((sick, sick)),
        }],
        temperature: Some(sick),
        curves: Curves {
            settings: vec![curve(vec![healthy, epoch, healthy]), curve(vec![epoch; 3]), curve(Vec::new())],
            chosen: 0,
            best_epoch: 2,
        },
        grid: Grid {
            rates: vec!["1".into()],
            decays: vec!["0".into(), "1".into(), "2".into()],
            cells: vec![cell(0, sick), cell(1, 0.5), cell(2, 0.7)],
            chosen_by: "validation",
        },
        per_class: Section::Shown(PerClass {
            split: "test",
            scores: vec![ClassScore { precision: sick, recall: sick, f1: sick, support: 0 }; n_classes],
        }),
        reliability: Section::Shown(Reliability {
            split: "test",
            before: diagram(),
            after: diagram(),
            temperature: sick,
        }),
        map: Section::Shown(Map {
            split: "test",
            points: [(sick, 0.0), (0.0, sick), (1.0, 1.0), (-sick, sick), (0.5, -1.0)]
                .into_iter()
                .map(|(x, y)| MapPoint { x, y, class: n_classes - 1 })
                .collect(),
            named: Named::choose(&vec![1; n_classes], None),
            n_rows: 5,
            explained: [sick, sick],
        }),
        learning_curve: Section::Shown(LearningCurve {
            lines: vec![line(vec![point; 2]), line(Vec::new())],
            n_draws: 5,
        }),
        ..page("a", n_classes)
    }
}

#[test]
fn what_is_no_number_stays_out_of_the_drawings() {
    for sick in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, f64::MIN_POSITIVE, 0.0, -1.0] {
        for n_classes in [1, 3, 30] {
            let html = of(sick, n_classes).to_html();
            assert_sane(&html, &format!("{sick}, {n_classes} classes"));
            assert!(!html.contains("NaN\u{a0}%") && !html.contains("inf\u{a0}%"), "{sick} as a share");
        }
    }
}

#[test]
fn pictures_without_pixels_are_said_to_be_none() {
    let mut page = page("a", 3);
    let Section::Shown(mistakes) = &mut page.mistakes else { panic!("there are mistakes") };
    mistakes.shown[0].picture = Thumbnail { width: 0, height: 0, rgb: Vec::new() };
    (mistakes.shown[0].label, mistakes.shown[0].predicted) = (7, 8);
    let html = page.to_html();
    assert_sane(&html, "no pixels");
    assert!(html.contains("no picture") && html.contains("title=\"?\"") && !html.contains("base64,\""));
}
