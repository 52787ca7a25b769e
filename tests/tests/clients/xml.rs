//! Reading the endpoint's XML, as far as it goes: elements and text.

use std::collections::BTreeMap;

/// An element with its text or its children.
#[derive(Debug, Default)]
pub(crate) struct Element {
    name: String,
    text: String,
    pub(crate) children: Vec<Element>,
}

impl Element {
    pub(crate) fn parse(xml: &str) -> Self {
        let (_, rest) = xml.split_once("?>").unwrap();
        let mut open = vec![Self::default()];
        for part in rest.trim().split('<').skip(1) {
            let (tag, text) = part.split_once('>').unwrap();
            if let Some(name) = tag.strip_prefix('/') {
                let closed = open.pop().unwrap();
                assert_eq!(closed.name, name);
                open.last_mut().unwrap().children.push(closed);
            } else {
                let name = tag.split(' ').next().unwrap().to_owned();
                let text = [("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
                    .iter()
                    .fold(text.to_owned(), |text, (written, meant)| text.replace(written, meant));
                open.push(Self { name, text, children: Vec::new() });
            }
        }
        open.pop().unwrap().children.pop().unwrap()
    }

    #[track_caller]
    pub(crate) fn child(&self, name: &str) -> &Self {
        self.children.iter().find(|it| it.name == name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    fn has(&self, name: &str) -> Option<&str> {
        Some(&self.children.iter().find(|it| it.name == name)?.text)
    }
}

/// All texts in an element by their path: a tag's value by its key, a mapping by its device, others by their number.
pub(crate) fn flat(element: &Element) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (number, child) in element.children.iter().enumerate() {
        let name = match (child.has("key"), child.has("deviceName")) {
            (Some(key), _) => {
                all.insert(key.to_owned(), child.has("value").unwrap_or_default().to_owned());
                continue;
            }
            (None, Some(device)) => device.to_owned(),
            (None, None) if child.name == "item" => number.to_string(),
            (None, None) => child.name.clone(),
        };
        if child.children.is_empty() {
            all.insert(name, child.text.clone());
        } else {
            all.extend(flat(child).into_iter().map(|(rest, value)| (format!("{name}.{rest}"), value)));
        }
    }
    all
}
