//! What a `classifier.onnx` says about itself: classes, size of a picture, rule of resizing.

use artifact::ResizePolicy;
use onnx_graph::{Dim, ElementType, FEATURES, LOGITS, Model, PIXELS, PROBABILITIES, Port};
use stage::Exit;

/// Facts that the file carries as ONNX metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct About {
    /// Class names, in the order of the outputs.
    pub(crate) classes: Vec<String>,
    /// Rows of a picture, in pixels.
    pub(crate) height: u32,
    /// Columns of a picture, in pixels.
    pub(crate) width: u32,
    /// How pictures of another size become this size.
    pub(crate) resize: ResizePolicy,
}

impl About {
    /// # Errors
    /// Exit 65 for a model that is no classifier of ours, with what is missing.
    pub(crate) fn of(model: &Model) -> anyhow::Result<Self> {
        let metadata = model.metadata();
        let refuse = |what: String| {
            Exit::BadData.error(format!(
                "{} is an ONNX model, but not a classifier as head-train writes it (classifier.onnx of the head artifact): {what}",
                model.name()
            ))
        };
        let find = |key: &str| metadata.metadata_props.iter().find(|(k, _)| k == key).map(|(_, value)| value);
        let required = |key: &str| find(key).ok_or_else(|| refuse(format!("its metadata has no `{key}`")));
        let wrong = |key: &str, expected: &str, found: &str| {
            refuse(format!("`{key}` of its metadata: expected {expected}, found {found:?}"))
        };
        let side = |key: &str| {
            let text = required(key)?;
            let pixels = text.parse::<u32>().ok().filter(|n| (1..=65_535).contains(n));
            pixels.ok_or_else(|| wrong(key, "a number of pixels", text))
        };

        let text = required("headstart.classes")?;
        let classes: Vec<String> =
            serde_json::from_str(text).map_err(|_| wrong("headstart.classes", "a JSON list of names", text))?;
        let (height, width) = (side("headstart.height")?, side("headstart.width")?);
        let resize = match find("headstart.resize") {
            // Where nothing is said, nothing is guessed: only pictures of the very size are taken.
            None => ResizePolicy::AsTheyAre,
            Some(text) => {
                serde_json::from_str(text).map_err(|_| wrong("headstart.resize", "a rule of resizing in JSON", text))?
            }
        };

        let fixed = |n: usize| Dim::Fixed(n as u64);
        let pixels = [fixed(height as usize), fixed(width as usize), fixed(3)];
        let [input] = metadata.inputs.as_slice() else {
            return Err(refuse(format!("expected one input, found {}", metadata.inputs.len())));
        };
        if !is_port(input, PIXELS, ElementType::U8, &pixels) {
            let found = describe(Some(input));
            return Err(refuse(format!(
                "expected the input `{PIXELS}`, uint8 [N, {height}, {width}, 3], found {found}"
            )));
        }
        for name in [PROBABILITIES, LOGITS] {
            let output = metadata.outputs.iter().find(|o| o.name == name);
            if !output.is_some_and(|o| is_port(o, name, ElementType::F32, &[fixed(classes.len())])) {
                let (n, found) = (classes.len(), describe(output));
                return Err(refuse(format!("expected the output `{name}`, float32 [N, {n}], found {found}")));
            }
        }
        if !metadata.outputs.iter().any(|o| o.name == FEATURES) {
            return Err(refuse(format!("it has no output `{FEATURES}`")));
        }
        Ok(Self { classes, height, width, resize })
    }
}

/// Whether a port has this name and type, whatever its first dimension.
fn is_port(port: &Port, name: &str, element: ElementType, rest: &[Dim]) -> bool {
    let shape = port.tensor.shape.as_deref().unwrap_or_default();
    port.name == name && port.tensor.element == Some(element) && shape.get(1..).is_some_and(|dims| dims == rest)
}

fn describe(port: Option<&Port>) -> String {
    port.map_or("none".to_string(), |port| format!("`{}`, {}", port.name, port.tensor))
}

#[cfg(test)]
mod tests {
    use artifact::{ResizeFilter, ResizeFit};

    use super::*;

    /// Raw pixels of 1×2 pictures with a head behind, as head-train writes it.
    fn classifier() -> Model {
        let mut model = Model::of_pixels(1, 2).unwrap();
        model.append_head(&[0.0; 18], &[0.0; 3], 1.5).unwrap();
        for (key, value) in [("classes", r#"["a","b","c"]"#), ("height", "1"), ("width", "2")] {
            model.set_metadata_prop(&format!("headstart.{key}"), value);
        }
        model
    }

    #[test]
    fn the_file_says_all_that_is_needed() {
        let mut model = classifier();
        let about = About::of(&model).unwrap();
        assert_eq!((about.classes.len(), about.height, about.width), (3, 1, 2));
        assert_eq!(about.resize, ResizePolicy::AsTheyAre);
        let rule = r#"{"policy":"resized","fit":"crop","filter":"bicubic","enlarge":true}"#;
        model.set_metadata_prop("headstart.resize", rule);
        let (fit, filter) = (ResizeFit::Crop, ResizeFilter::Bicubic);
        assert_eq!(About::of(&model).unwrap().resize, ResizePolicy::Resized { fit, filter, enlarge: true });
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let refusal = |model: &Model| {
            let error = About::of(model).unwrap_err();
            assert_eq!(Exit::of(&error), Exit::BadData);
            error.to_string()
        };
        let plain = Model::of_pixels(1, 2).unwrap();
        assert!(refusal(&plain).contains("its metadata has no `headstart.classes`"), "{}", refusal(&plain));
        for (key, value, expected) in [
            ("classes", "a, b", "a JSON list of names"),
            ("height", "0", "a number of pixels"),
            ("width", "3", "uint8 [N, 1, 3, 3]"),
            ("classes", r#"["a","b"]"#, "float32 [N, 2]"),
            ("resize", "squash", "a rule of resizing"),
        ] {
            let mut model = classifier();
            model.set_metadata_prop(&format!("headstart.{key}"), value);
            assert!(refusal(&model).contains(expected), "{key}: {}", refusal(&model));
        }
    }
}
