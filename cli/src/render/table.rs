/// Returns rows of cells with the columns in line, two spaces apart. Cells may be styled.
pub(crate) fn columns(rows: &[Vec<String>], indent: &str) -> String {
    let width = |cell: &str| {
        anstream::adapter::strip_str(cell)
            .to_string()
            .chars()
            .count()
    };
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = indent.to_owned();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(cell);
            let missing = widths[column] + 2 - width(cell);
            line.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_in_line_whatever_is_styled() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec![
                crate::output::styled(crate::output::BAD, "größer"),
                "2".to_owned(),
            ],
        ];
        let text = anstream::adapter::strip_str(&columns(&rows, "  ")).to_string();
        assert_eq!(text, "  a       1\n  größer  2\n");
    }
}
