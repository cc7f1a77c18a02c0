//! A small terminal screen: what is to be seen after some bytes were written. Codes that it does not know are an error, so
//! that nothing on it is guessed.

/// What stands where, and where the cursor is.
#[derive(Debug)]
pub(crate) struct Screen {
    columns: usize,
    /// Rows from the first that was ever written, each with whether the next one goes on with its line.
    rows: Vec<(Vec<char>, bool)>,
    row: usize,
    column: usize,
    /// Whether anything but blanks was ever written into the last column.
    pub(crate) reached_last_column: bool,
}

impl Screen {
    /// An empty screen of that width, and of as many rows as needed.
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            rows: vec![(Vec::new(), false)],
            row: 0,
            column: 0,
            reached_last_column: false,
        }
    }

    /// Shows what was written.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            match c {
                '\r' => self.column = 0,
                '\n' => self.go_down(false),
                '\u{1b}' => {
                    assert_eq!(rest.next(), Some('['), "a code that is not known");
                    let mut number = String::new();
                    let code = loop {
                        match rest.next().expect("a whole code") {
                            digit @ ('0'..='9' | ';') => number.push(digit),
                            code => break code,
                        }
                    };
                    self.obey(code, &number);
                }
                c if c.is_control() => panic!("{c:?} is not known"),
                c => self.put(c),
            }
        }
    }

    fn obey(&mut self, code: char, number: &str) {
        match (code, number) {
            ('m', _) => {}
            ('J', "" | "0") => {
                self.rows.truncate(self.row + 1);
                self.cut();
            }
            ('K', "" | "0") => self.cut(),
            ('A', count) => {
                let count: usize = count.parse().unwrap_or(1);
                self.row = self.row.saturating_sub(count);
            }
            _ => panic!("the code {number}{code} is not known"),
        }
    }

    fn cut(&mut self) {
        let (row, goes_on) = &mut self.rows[self.row];
        row.truncate(self.column);
        *goes_on = false;
    }

    fn go_down(&mut self, goes_on: bool) {
        self.rows[self.row].1 = goes_on;
        self.row += 1;
        if self.row == self.rows.len() {
            self.rows.push((Vec::new(), false));
        }
    }

    fn put(&mut self, c: char) {
        if self.column == self.columns {
            self.go_down(true);
            self.column = 0;
        }
        let row = &mut self.rows[self.row].0;
        if row.len() <= self.column {
            row.resize(self.column + 1, ' ');
        }
        row[self.column] = c;
        self.column += 1;
        self.reached_last_column |= self.column == self.columns && c != ' ';
    }

    /// The window has another width. Lines that have no room are broken, as most terminals do, and the cursor stays at
    /// its character; or they are cut.
    pub(crate) fn resize(&mut self, columns: usize, breaks: bool) {
        self.columns = columns;
        self.column = self.column.min(columns);
        if !breaks {
            for (row, _) in &mut self.rows {
                row.truncate(columns);
            }
            return;
        }
        let (mut rows, mut line) = (Vec::new(), Vec::new());
        let (mut cursor, mut at) = (None, None);
        for (number, (row, goes_on)) in std::mem::take(&mut self.rows).into_iter().enumerate() {
            if number == self.row {
                at = Some(line.len() + self.column);
            }
            line.extend(row);
            if goes_on {
                continue;
            }
            if let Some(at) = at.take() {
                cursor = Some((rows.len() + at / columns, at % columns));
            }
            let pieces: Vec<Vec<char>> = line.chunks(columns).map(<[char]>::to_vec).collect();
            let count = pieces.len().max(1);
            let pieces = pieces
                .into_iter()
                .chain(std::iter::repeat(Vec::new()))
                .take(count);
            rows.extend(pieces.enumerate().map(|(n, piece)| (piece, n + 1 < count)));
            line = Vec::new();
        }
        self.rows = rows;
        (self.row, self.column) = cursor.expect("the cursor is somewhere");
        while self.rows.len() <= self.row {
            self.rows.push((Vec::new(), false));
        }
    }

    /// What is to be seen, without empty rows at the end.
    pub(crate) fn text(&self) -> Vec<String> {
        let rows = self
            .rows
            .iter()
            .map(|(row, _)| row.iter().collect::<String>());
        let mut rows: Vec<String> = rows.map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }
}
