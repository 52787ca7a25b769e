//! Formats tables: columns as wide as their widest cell.

use console::measure_text_width;

/// Returns the lines of a table; the last column is not padded.
pub(crate) fn render(headings: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(rows).collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| all.iter().filter_map(|row| row.get(column)).map(|cell| measure_text_width(cell)).max())
        .map(Option::unwrap_or_default)
        .collect();
    let line = |row: &&Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell}{}", " ".repeat(width.saturating_sub(measure_text_width(cell)))));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["b-1".into(), "ä".into(), "x".into()], vec!["b-1000".into(), "bcd".into(), String::new()]];
        assert_eq!(render(&["id", "r", "end"], &rows), ["ID      R    END", "b-1     ä    x", "b-1000  bcd"]);
    }
}
