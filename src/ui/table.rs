//! Tables: aligned columns without lines, readable by people and by `awk`.

use console::measure_text_width;

use super::color::{Paint, Tone};
use super::shown::one_line;

/// Between columns.
const GAP: &str = "  ";
/// Stands for a value that is not there, so that every row has every column.
const NOTHING: &str = "-";

/// One value, with its meaning.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A value in a colour.
    pub fn new(tone: Tone, text: impl AsRef<str>) -> Self {
        let text = one_line(text.as_ref());
        Self { text: if text.is_empty() { NOTHING.to_owned() } else { text }, tone }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(Tone::Plain, text)
    }
}

/// Headers and rows.
#[derive(Debug, Clone)]
pub struct Table {
    headers: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table without rows. A header that begins with `>` makes a column of numbers, aligned to the right.
    #[must_use]
    pub fn new<const N: usize>(headers: [&str; N]) -> Self {
        let right = headers.iter().map(|header| header.starts_with('>')).collect();
        let headers = headers.iter().map(|header| header.trim_start_matches('>').to_owned()).collect();
        Self { headers, right, rows: Vec::new() }
    }

    /// Adds a row; columns that are missing are shown as `-`.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let mut cells: Vec<Cell> = cells.into_iter().take(self.headers.len()).collect();
        cells.resize_with(self.headers.len(), || Cell::from(""));
        self.rows.push(cells);
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All lines, without a line feed at the end.
    #[must_use]
    pub fn render(&self, paint: Paint) -> String {
        let headers: Vec<Cell> =
            self.headers.iter().map(|text| Cell { text: text.clone(), tone: Tone::Head }).collect();
        let rows: Vec<&Vec<Cell>> = std::iter::once(&headers).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column].text)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.headers.len()).map(width).collect();
        let lines: Vec<String> = rows.iter().map(|row| self.line(row, &widths, paint)).collect();
        lines.join("\n")
    }

    fn line(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let painted = paint.tone(cell.tone, &cell.text);
            // Padding goes outside the colour, so that its codes are not counted.
            let pad = " ".repeat(widths[column] - measure_text_width(&cell.text));
            let last = column + 1 == row.len();
            match (self.right[column], last) {
                (true, _) => line.extend([pad.as_str(), &painted]),
                (false, true) => line.push_str(&painted),
                (false, false) => line.extend([painted.as_str(), &pad]),
            }
            if !last {
                line.push_str(GAP);
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use console::strip_ansi_codes;

    use super::*;

    fn nodes() -> Table {
        let mut table = Table::new(["NODE", "STATE", ">QUEUE", "HOST"]);
        table.row(["node1".into(), Cell::new(Tone::Ok, "Synced"), "0".into(), "worker-a".into()]);
        table.row(["node2".into(), Cell::new(Tone::Fail, "Größe 東京"), "1204".into(), "".into()]);
        table.row(["node10".into()]);
        table
    }

    #[test]
    fn columns_are_aligned_by_display_width() {
        insta::assert_snapshot!(nodes().render(Paint::new(false)), @"
        NODE    STATE       QUEUE  HOST
        node1   Synced          0  worker-a
        node2   Größe 東京   1204  -
        node10  -               -  -
        ");
        assert!(!nodes().is_empty() && Table::new(["A"]).is_empty());
    }

    #[test]
    fn colours_do_not_move_columns() {
        let painted = nodes().render(Paint::new(true));
        assert!(crate::ui::shown::shown(&painted).contains("\u{1b}[32mSynced\u{1b}[0m"));
        assert_eq!(strip_ansi_codes(&painted), nodes().render(Paint::new(false)));
    }
}
