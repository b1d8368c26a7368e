//! A JSON document in little memory. `serde_json::Value` takes about 70 bytes per number.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// The largest number of values in a document: strings, lists, objects, and numbers outside of
/// lists of whole numbers. The training file of ARC-AGI-2 has about 120,000.
const MAX_VALUES: usize = 500_000;
/// The largest nesting depth of a document. A collection of ARC tasks has depth 5.
const MAX_DEPTH: usize = 32;
/// The number of digits from which a whole number may have more than 64 bits.
const MIN_LONG_DIGITS: usize = 20;
/// The largest number up to which all whole numbers are exact in 64-bit floats: 2^53.
const MAX_EXACT_FLOAT: f64 = 9_007_199_254_740_992.0;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool,
    Int(i128),
    Float(f64),
    Text(String),
    /// A list of whole numbers, or the empty list.
    Ints(Vec<i64>),
    /// Any other list.
    List(Vec<Self>),
    /// The fields, in the order of the document.
    Object(Vec<(String, Self)>),
}

impl Json {
    /// Parses a document.
    ///
    /// A number with more digits than 64 bits have is a text: it can be a puzzle.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let quoted = quote_long_numbers(text);
        let text = quoted.as_deref().unwrap_or(text);
        let mut parser = serde_json::Deserializer::from_str(text);
        let json = ValueReader::root(&Cell::new(MAX_VALUES)).deserialize(&mut parser)?;
        parser.end()?;
        Ok(json)
    }

    /// Converts a document that is already parsed.
    pub(crate) fn from_value(value: serde_json::Value) -> Result<Self, serde_json::Error> {
        ValueReader::root(&Cell::new(MAX_VALUES)).deserialize(value)
    }

    /// Returns a list, in its compact form if all values are whole numbers.
    pub(crate) fn of_list(list: Vec<Self>) -> Self {
        match list.iter().map(as_i64).collect::<Option<Vec<i64>>>() {
            Some(ints) => Self::Ints(ints),
            None => Self::List(list),
        }
    }

    /// Returns a number. `5.0` is the whole number 5, if all its digits are exact.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "whole, and small enough to be exact"
    )]
    pub(crate) fn of_float(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() <= MAX_EXACT_FLOAT {
            Self::Int(number as i128)
        } else {
            Self::Float(number)
        }
    }

    /// Returns the type of the value with its article, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Int(_) => "a number",
            Self::Float(number) if number.fract() == 0.0 => {
                "a number with more digits than are exact (write it as a string)"
            }
            Self::Float(_) => "a number that is not whole",
            Self::Text(_) => "a string",
            Self::Ints(list) if list.is_empty() => "an empty list",
            Self::Ints(_) | Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

/// Returns the text with quotes around numbers that have more digits than 64 bits, or `None` if it
/// has no such number.
fn quote_long_numbers(text: &str) -> Option<String> {
    let is_long = |digits: usize| digits >= MIN_LONG_DIGITS;
    if !text
        .as_bytes()
        .chunk_by(|a, b| a.is_ascii_digit() == b.is_ascii_digit())
        .any(|run| run.first().is_some_and(u8::is_ascii_digit) && is_long(run.len()))
    {
        return None;
    }
    let mut quoted = String::with_capacity(text.len() + 16);
    let (mut in_string, mut escaped, mut last) = (false, false, ' ');
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let starts_number =
            !in_string && digits > 0 && !matches!(last, '.' | '-' | '+' | 'e' | 'E');
        let len = digits.max(c.len_utf8());
        let (token, after) = rest.split_at(len);
        let is_whole = !after.starts_with(['.', 'e', 'E']);
        if starts_number && is_long(digits) && is_whole {
            quoted.extend(["\"", token, "\""]);
        } else {
            quoted.push_str(token);
        }
        if digits == 0 {
            in_string ^= c == '"' && !escaped;
            escaped = in_string && c == '\\' && !escaped;
        } else {
            escaped = false;
        }
        last = token.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    Some(quoted)
}

/// Returns whether a text starts like JSON.
pub(crate) fn is_json(text: &str) -> bool {
    matches!(
        text.trim_start().as_bytes().first(),
        Some(b'{' | b'[' | b'"')
    )
}

/// Returns the message of an error without its line and column. Callers add their own.
pub(crate) fn error_message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message
        .strip_suffix(&position)
        .unwrap_or(&message)
        .to_owned()
}

/// Deserializes one value, and counts the values of the document.
#[derive(Clone, Copy)]
struct ValueReader<'a> {
    /// How many more values the document may have.
    values_left: &'a Cell<usize>,
    /// How many more levels the value may have.
    levels_left: usize,
}

impl<'a> ValueReader<'a> {
    fn root(values_left: &'a Cell<usize>) -> Self {
        ValueReader {
            values_left,
            levels_left: MAX_DEPTH,
        }
    }

    fn count<E: serde::de::Error>(self, values: usize) -> Result<(), E> {
        let left =
            self.values_left.get().checked_sub(values).ok_or_else(|| {
                E::custom(format!("the document has more than {MAX_VALUES} values"))
            })?;
        self.values_left.set(left);
        Ok(())
    }

    /// Returns the reader of the values in a list or an object.
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels_left = self
            .levels_left
            .checked_sub(1)
            .ok_or_else(|| E::custom("the document is nested too deeply"))?;
        Ok(ValueReader {
            levels_left,
            ..self
        })
    }
}

impl<'de> DeserializeSeed<'de> for ValueReader<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueReader<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Int(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Int(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::of_float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut ints = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            match as_i64(&value) {
                Some(int) => ints.push(int),
                None => return self.visit_mixed(ints, value, list),
            }
        }
        self.count(1)?;
        ints.shrink_to_fit();
        Ok(Json::Ints(ints))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut fields: Vec<(String, Json)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            self.count(1)?;
            fields.push((name, map.next_value_seed(inner)?));
        }
        self.count(1)?;
        fields.shrink_to_fit();
        Ok(Json::Object(fields))
    }
}

impl ValueReader<'_> {
    /// Reads the rest of a list in which `value` is the first element that is not a whole number.
    fn visit_mixed<'de, A: SeqAccess<'de>>(
        self,
        ints: Vec<i64>,
        value: Json,
        mut list: A,
    ) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        self.count(ints.len())?;
        let mut values: Vec<Json> = ints.into_iter().map(|int| Json::Int(int.into())).collect();
        values.push(value);
        while let Some(value) = list.next_element_seed(inner)? {
            self.count(1)?;
            values.push(value);
        }
        self.count(1)?;
        values.shrink_to_fit();
        Ok(Json::List(values))
    }
}

/// Returns a whole number of 64 bits.
pub(crate) fn as_i64(value: &Json) -> Option<i64> {
    match value {
        Json::Int(int) => i64::try_from(*int).ok(),
        _ => None,
    }
}
