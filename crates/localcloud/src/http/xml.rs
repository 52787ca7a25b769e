//! Writing XML.

use std::fmt::Write as _;

/// A document that is being written. Elements are closed by the calls that open them.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// A document with its XML declaration.
    pub fn document() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned())
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.0
    }

    /// `<name>…</name>`.
    pub fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        self.open(name, None, content);
    }

    /// `<name xmlns="…">…</name>`.
    pub fn root(&mut self, name: &str, namespace: &str, content: impl FnOnce(&mut Self)) {
        self.open(name, Some(namespace), content);
    }

    fn open(&mut self, name: &str, namespace: Option<&str>, content: impl FnOnce(&mut Self)) {
        self.0.push('<');
        self.0.push_str(name);
        if let Some(namespace) = namespace {
            // Writing to a String can't fail.
            let _ = write!(self.0, " xmlns=\"{namespace}\"");
        }
        self.0.push('>');
        content(self);
        let _ = write!(self.0, "</{name}>");
    }

    /// `<name>value</name>`.
    pub fn text(&mut self, name: &str, value: &str) {
        self.element(name, |xml| xml.escape(value));
    }

    /// `<name>value</name>` of a value with a text form.
    pub fn value(&mut self, name: &str, value: impl ToString) {
        self.text(name, &value.to_string());
    }

    /// The same if there is a value, else nothing.
    pub fn optional(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// `<name><item>…</item>…</name>`: a list, which may be empty.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut content: impl FnMut(&mut Self, T)) {
        self.element(name, |xml| {
            for item in items {
                xml.element("item", |xml| content(xml, item));
            }
        });
    }

    /// The text of an element that has nothing else.
    pub fn content(&mut self, text: &str) {
        self.escape(text);
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // A parser replaces it by a line feed unless it is escaped.
                '\r' => self.0.push_str("&#xD;"),
                // XML 1.0 can't contain these.
                c if (c < ' ' && c != '\t' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    self.0.push('\u{fffd}');
                }
                c => self.0.push(c),
            }
        }
    }
}
