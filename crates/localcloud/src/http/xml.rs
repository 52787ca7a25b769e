//! Writing XML.

use std::fmt::Write as _;

/// A document being written. What is asked for is written at once, so nothing can be closed in the wrong order.
#[derive(Debug, Default)]
pub struct Xml(String);

impl Xml {
    /// A document with its first line.
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

    /// `<name>value</name>` for what has a text form of its own.
    pub fn value(&mut self, name: &str, value: impl ToString) {
        self.text(name, &value.to_string());
    }

    /// The same if there is a value; nothing if there is none.
    pub fn maybe(&mut self, name: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.value(name, value);
        }
    }

    /// `<name><item>…</item>…</name>`, as EC2 writes lists; empty ones too.
    pub fn list<T>(&mut self, name: &str, items: impl IntoIterator<Item = T>, mut content: impl FnMut(&mut Self, T)) {
        self.element(name, |xml| {
            for item in items {
                xml.element("item", |xml| content(xml, item));
            }
        });
    }

    /// Text, where an element holds nothing else.
    pub fn append(&mut self, text: &str) {
        self.escape(text);
    }

    fn escape(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                // A reader makes a line feed of it, or of it and a line feed, unless it is written so.
                '\r' => self.0.push_str("&#xD;"),
                // XML 1.0 has no way to write these.
                c if (c < ' ' && c != '\t' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                    self.0.push('\u{fffd}');
                }
                c => self.0.push(c),
            }
        }
    }
}
