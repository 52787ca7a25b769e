//! Which whitespace belongs to the text of a template: `~` removes what is next to it, and `<<-` what all lines begin
//! with.
//!
//! HCL does both on its tokens, of which a heredoc has one for each line. The parser's own rule for `<<-` differs, so
//! the lines are taken from the text again.

use hcl_edit::{
    Span as _, Spanned,
    template::{Directive, Element, HeredocTemplate, StringTemplate, Strip, Template},
    visit_mut::{self, VisitMut},
};

/// Removes the whitespace from the literals of the templates that it visits.
pub(crate) struct Whitespace<'a> {
    /// The text that was parsed.
    pub(crate) text: &'a str,
}

impl Whitespace<'_> {
    /// Visits a template without quotes or delimiters around it.
    pub(crate) fn visit_bare_template(&mut self, template: &mut Template) {
        trim(template, true, None);
        self.visit_template_mut(template);
    }
}

impl VisitMut for Whitespace<'_> {
    fn visit_string_template_mut(&mut self, node: &mut StringTemplate) {
        trim(node, false, None);
        self.visit_template_mut(node);
    }

    fn visit_heredoc_template_mut(&mut self, node: &mut HeredocTemplate) {
        let written = node.span().and_then(|span| self.text.get(span));
        let flush = written.is_some_and(|written| written.starts_with("<<-"));
        trim(&mut node.template, true, flush.then_some(self.text));
        visit_mut::visit_template_mut(self, &mut node.template);
    }
}

/// A token of a template: a piece of literal text, or a `${ }` or `%{ }`.
enum Piece<'a> {
    Text(&'a mut String, Option<std::ops::Range<usize>>),
    Sequence(Strip),
}

/// A line of literal text, or a sequence.
enum Line {
    Text {
        /// The literal that it is a part of.
        literal: usize,
        text: String,
    },
    Sequence(Strip),
}

/// Removes the whitespace of `~` and, for a `<<-` in this text, that at the start of all lines.
fn trim(template: &mut Template, lines: bool, flush_in: Option<&str>) {
    let mut pieces = Vec::new();
    flatten(template, &mut pieces);
    if flush_in.is_none()
        && !pieces.iter().any(|piece| matches!(piece, Piece::Sequence(strip) if *strip != Strip::None))
    {
        return;
    }
    let mut all: Vec<Line> = Vec::new();
    for (literal, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Sequence(strip) => all.push(Line::Sequence(*strip)),
            Piece::Text(value, span) => {
                let written = flush_in.zip(span.clone()).and_then(|(text, span)| text.get(span));
                let text = written.map_or_else(|| value.to_string(), unescape);
                if lines {
                    all.extend(text.split_inclusive('\n').map(|line| Line::Text { literal, text: line.to_owned() }));
                } else {
                    all.push(Line::Text { literal, text });
                }
            }
        }
    }
    strip(&mut all);
    if flush_in.is_some() {
        flush(&mut all);
    }
    for piece in &mut pieces {
        if let Piece::Text(value, _) = piece {
            value.clear();
        }
    }
    for line in all {
        if let Line::Text { literal, text } = line
            && let Piece::Text(value, _) = &mut pieces[literal]
        {
            value.push_str(&text);
        }
    }
}

/// Lists the pieces of a template and of the templates within its directives, in the order of the text.
fn flatten<'a>(template: &'a mut Template, pieces: &mut Vec<Piece<'a>>) {
    for element in template.iter_mut() {
        match element {
            Element::Literal(literal) => {
                let span = literal.span();
                pieces.push(Piece::Text(Spanned::value_mut(literal), span));
            }
            Element::Interpolation(interpolation) => pieces.push(Piece::Sequence(interpolation.strip)),
            Element::Directive(directive) => match &mut **directive {
                Directive::If(node) => {
                    pieces.push(Piece::Sequence(node.if_expr.strip));
                    flatten(&mut node.if_expr.template, pieces);
                    if let Some(node) = &mut node.else_expr {
                        pieces.push(Piece::Sequence(node.strip));
                        flatten(&mut node.template, pieces);
                    }
                    pieces.push(Piece::Sequence(node.endif_expr.strip));
                }
                Directive::For(node) => {
                    pieces.push(Piece::Sequence(node.for_expr.strip));
                    flatten(&mut node.for_expr.template, pieces);
                    pieces.push(Piece::Sequence(node.endfor_expr.strip));
                }
            },
        }
    }
}

/// A heredoc has no escapes but these.
fn unescape(text: &str) -> String {
    text.replace("$${", "${").replace("%%{", "%{")
}

/// Applies `~`: to the end of the piece of text before, and to the start of the one after.
fn strip(lines: &mut [Line]) {
    for i in 0..lines.len() {
        let Line::Sequence(strip) = lines[i] else { continue };
        if strip.strip_start()
            && i > 0
            && let Line::Text { text, .. } = &mut lines[i - 1]
        {
            text.truncate(text.trim_end().len());
        }
        if strip.strip_end()
            && let Some(Line::Text { text, .. }) = lines.get_mut(i + 1)
        {
            *text = text.trim_start().to_owned();
        }
    }
}

/// Removes the blanks that all lines begin with; a blank line has no say.
fn flush(lines: &mut [Line]) {
    let mut least = usize::MAX;
    let mut first_of_lines = Vec::new();
    let mut line_start = true;
    for (i, line) in lines.iter().enumerate() {
        let text = match line {
            Line::Text { text, .. } => text.as_str(),
            Line::Sequence(_) => "",
        };
        if std::mem::take(&mut line_start) {
            let blanks = text.chars().take_while(|c| c.is_whitespace()).count();
            let is_blank_line = text.ends_with('\n') && text.trim().is_empty();
            if !is_blank_line {
                first_of_lines.push(i);
                least = least.min(blanks);
            }
        }
        line_start = text.ends_with('\n');
    }
    for i in first_of_lines {
        if let Line::Text { text, .. } = &mut lines[i] {
            *text = text.chars().skip(least).collect();
        }
    }
}
