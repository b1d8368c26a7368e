//! Reads lists and dictionaries as Python and NumPy print them: `[[5 3 0]\n [6 0 0]]`,
//! `array([[5, 3, 0]])`, `{'puzzle': '53..', 'id': None}`.

use super::json::Json;

/// The largest nesting depth.
const MAX_DEPTH: usize = 16;
/// The largest number of values.
const MAX_VALUES: usize = 500_000;

/// Returns the byte offset of the list in a line that starts with a name or a call:
/// `grid = [[5, 3`, `np.array([[5, 3`, `int board[9][9] = {{5, 3`.
pub(crate) fn list_start(line: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_. =(:[]".contains(c);
    if !line
        .trim_start()
        .starts_with(|c: char| c.is_ascii_alphabetic())
    {
        return None;
    }
    let starts = ["[[", "{{", "(["];
    let at = starts.iter().filter_map(|start| line.find(start)).min()?;
    let (name, list) = line.split_at_checked(at)?;
    let at = at + usize::from(list.starts_with('('));
    let is_call = list.starts_with('(') || name.contains(['=', '(']);
    (is_call && name.chars().all(is_name)).then_some(at)
}

/// Parses a printed list or dictionary. `None` if the text is something else.
pub(crate) fn parse(text: &str) -> Option<Json> {
    let mut parser = Parser {
        rest: text,
        values_left: MAX_VALUES,
    };
    let value = parser.value(MAX_DEPTH)?;
    // The rest of a call: `, dtype=int32)`, or the end of a statement.
    let rest = parser.rest.trim();
    let rest = rest.trim_start_matches([')', ',', ' ']);
    let rest = match rest.strip_prefix("dtype=") {
        Some(name) => {
            name.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || "._'".contains(c))
        }
        None => rest,
    };
    rest.trim_matches([')', ';', ' '])
        .is_empty()
        .then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
    values_left: usize,
}

impl<'a> Parser<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn eat(&mut self, c: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        self.values_left = self.values_left.checked_sub(1)?;
        let depth = depth.checked_sub(1)?;
        self.skip_blanks();
        match self.rest.chars().next()? {
            '[' => {
                self.eat('[');
                self.list(']', depth)
            }
            '(' => {
                self.eat('(');
                self.list(')', depth)
            }
            '{' => {
                self.eat('{');
                self.braces(depth)
            }
            quote @ ('\'' | '"') => self.string(quote).map(Json::Text),
            c if c.is_ascii_digit() || "-+.".contains(c) => self.number(),
            _ => self.word(depth),
        }
    }

    /// Reads the elements of a list, which are separated by commas or white space.
    fn list(&mut self, end: char, depth: usize) -> Option<Json> {
        let mut list = Vec::new();
        loop {
            if self.eat(end) {
                break;
            }
            list.push(self.value(depth)?);
            // NumPy separates numbers and rows by white space, but never objects.
            let has_comma = self.eat(',');
            if !has_comma && matches!(list.last(), Some(Json::Object(_))) {
                return self.eat(end).then(|| Json::of_list(list));
            }
        }
        Some(Json::of_list(list))
    }

    /// Reads a dictionary, or an array in the braces of C.
    fn braces(&mut self, depth: usize) -> Option<Json> {
        self.skip_blanks();
        if !self.rest.starts_with(['\'', '"']) {
            return self.list('}', depth);
        }
        let mut fields = Vec::new();
        while !self.eat('}') {
            let Json::Text(name) = self.value(1)? else {
                return None;
            };
            if !self.eat(':') {
                return None;
            }
            fields.push((name, self.value(depth)?));
            if !self.eat(',') && !self.rest.trim_start().starts_with('}') {
                return None;
            }
        }
        Some(Json::Object(fields))
    }

    fn string(&mut self, quote: char) -> Option<String> {
        self.eat(quote);
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        loop {
            match chars.next()? {
                (at, c) if c == quote => {
                    self.rest = self.rest.get(at + quote.len_utf8()..)?;
                    return Some(text);
                }
                (_, '\\') => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    _ => return None,
                },
                (_, c) => text.push(c),
            }
        }
    }

    fn number(&mut self) -> Option<Json> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-+.".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        if let Ok(int) = word.parse::<i64>() {
            return Some(Json::Int(int.into()));
        }
        // NumPy prints whole floats as `5.`
        let is_number = word
            .chars()
            .all(|c| c.is_ascii_digit() || "-+.eE".contains(c));
        word.parse().ok().filter(|_| is_number).map(Json::of_float)
    }

    /// Reads a constant, or a call with a list.
    fn word(&mut self, depth: usize) -> Option<Json> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
        let end = self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "None" | "nan" | "NaN" | "null" => return Some(Json::Null),
            "True" | "False" | "true" | "false" => return Some(Json::Bool),
            _ => {}
        }
        let is_call = ["array", "tensor", "list", "tuple"]
            .iter()
            .any(|name| word.ends_with(name));
        if !is_call || !self.eat('(') {
            return None;
        }
        let value = self.value(depth)?;
        // `dtype=int32` and the like.
        let end = self.rest.find(')')?;
        let (arguments, rest) = self.rest.split_at(end);
        if arguments.contains(['[', '(', '{']) {
            return None;
        }
        self.rest = rest.strip_prefix(')')?;
        Some(value)
    }
}
