//! A table about samples.

/// Rows of text under named columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table of rows that are as long as the list of columns.
    ///
    /// # Errors
    /// Two columns of one name, or a row of another length.
    pub fn new(columns: Vec<String>, rows: Vec<Vec<String>>) -> Result<Self, &'static str> {
        let mut names: Vec<&String> = columns.iter().collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("two columns have the same name");
        }
        if rows.iter().any(|row| row.len() != columns.len()) {
            return Err("a row has more or fewer values than there are columns");
        }
        Ok(Self { columns, rows })
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The text in a row and column; empty where the row has none.
    ///
    /// # Panics
    /// Past the last row or column.
    pub fn value(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }

    /// Position of a column by its name, or by the part of it after a colon where one
    /// column alone has that: `data_split` for `tortilla:data_split`.
    pub fn position(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|column| column == name);
        let last = |column: &String| {
            column
                .rsplit_once(':')
                .is_some_and(|(_, last)| last == name)
        };
        exact.or_else(|| {
            let mut fit = (0..self.columns.len()).filter(|k| last(&self.columns[*k]));
            fit.next().filter(|_| fit.next().is_none())
        })
    }

    /// The chosen rows, in their order.
    ///
    /// # Panics
    /// A row past the last.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self {
            columns: self.columns.clone(),
            rows: rows.iter().map(|row| self.rows[*row].clone()).collect(),
        }
    }
}
