//! The page as a whole: hostile names, nothing from outside, parts present and absent.

#![allow(clippy::unwrap_used, clippy::panic)] // In a test they are how it fails.

mod full;
mod odd;

use full::page;
use head_report::{Confusion, Mistakes, Page, PerClass, Section};

const HOSTILE: &str = "</style><script src=x>alert('&\"')</script>\u{202e}";

#[test]
fn hostile_names_stay_text() {
    for n_classes in [3, 40] {
        let html = page(HOSTILE, n_classes).to_html();
        assert!(!html.contains("<script") && !html.contains("alert('"), "a name has become markup");
        assert_eq!(html.matches("</style>").count(), 1);
        assert!(!html.contains('\u{202e}') && html.contains(r"\u{202e}"), "a bidirectional control got through");
        assert!(html.contains("&lt;script src=x&gt;alert(&#39;&amp;&quot;&#39;)"));
    }
}

#[test]
fn every_tag_is_closed() {
    // Names without angle brackets, so that each `<` opens or closes an element.
    for n_classes in [2, 40] {
        assert_closed(&page("a", n_classes).to_html());
    }
}

/// Holds of pages whose texts have no angle brackets of their own.
fn assert_closed(html: &str) {
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
fn a_matrix_has_numbers_then_tints_and_very_many_classes_become_pairs() {
    let kinds = [(25, "numbers"), (40, "tints"), (100, "tints small")];
    for (n_classes, kind) in kinds {
        let html = page("class", n_classes).to_html();
        assert!(html.contains(&format!(r#"class="heat matrix {kind}""#)), "{n_classes}");
        assert!(html.contains(r#"title="class1 taken for class6: 1 of "#) && html.contains("class0 right: 9 of "));
        assert_eq!(html.contains("most confused of"), n_classes > 25, "{n_classes}");
    }
    let html = page(&"x".repeat(60), 30).to_html();
    assert!(html.contains(&format!("title=\"{}… right: 9 of", "x".repeat(40))), "thousands of cells repeat long names");
    let html = page("class", 101).to_html();
    assert!(html.contains("most confused of") && !html.contains(r#"class="heat matrix"#));
    assert!(html.contains("weakest classes") && html.contains("All 101 classes"));
}

#[test]
fn the_map_names_the_most_confused_of_many_classes_and_says_so() {
    let map = |n_classes: usize| page("class", n_classes).map.clone();
    let Section::Shown(map) = map(40) else { panic!("there is a map") };
    let html = page("class", 40).to_html();
    assert!(html.contains("In colour: the 7 classes that are most often taken for one another."));
    assert!(html.contains("the 33 other classes</li>"), "the key does not say what grey is");
    let key = html.split(r#"<ul class="key">"#).find(|part| part.contains("other classes")).unwrap();
    for class in &map.named.classes {
        assert!(key.contains(&format!(">class{class}<")), "{class} is not in the key");
    }
    assert!(html.contains("<title>class39</title>"), "a grey point does not tell its class");
    assert!(!page("class", 24).to_html().contains("In colour"), "there are marks for 24");
}

#[test]
fn sections_say_which_rows_they_are_of() {
    let full = page("class", 5);
    let (Section::Shown(confusion), Section::Shown(per_class)) = (full.confusion.clone(), full.per_class.clone())
    else {
        panic!("both are on the page")
    };
    let html = full.to_html();
    assert!(html.contains("On 45 test rows.") && html.contains("Test rows of each true class (row)"));
    assert!(!html.contains("The settings were chosen by these rows"));
    let split = "validation";
    let html = Page {
        confusion: Section::Shown(Confusion { split, ..confusion }),
        per_class: Section::Shown(PerClass { split, ..per_class }),
        mistakes: Section::Shown(Mistakes { split, shown: Vec::new(), n_wrong: 0 }),
        ..full
    }
    .to_html();
    assert!(html.contains("On 45 validation rows. The settings were chosen by these rows"));
    assert!(html.contains("Validation rows of each true class (row)"));
    assert!(html.contains("No validation picture was taken"));
}

#[test]
fn wide_tables_show_that_there_is_more() {
    let html = page("class", 40).to_html();
    let shown = html.matches("class=\"scroll\"").count();
    assert!(shown >= 5 && html.matches("<table").count() == shown, "a table is not in a part that scrolls");
    assert!(html.contains(".scroll::after{") && html.contains("position:sticky;right:0"));
}

#[test]
fn the_same_page_gives_the_same_bytes() {
    assert_eq!(page("class", 12).to_html(), page("class", 12).to_html());
}
