//! A JSON document in little memory: `serde_json::Value` takes some seventy bytes for each number.

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// Strings, lists, objects and single values of one document: ARC-AGI-2's training file has about 120,000.
const MAX_NODES: usize = 500_000;
/// How deep a document may be nested. An ARC collection is five deep.
const MAX_DEPTH: usize = 32;

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
    List(Vec<Json>),
    /// The fields in their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Parses a whole document.
    pub(crate) fn parse(text: &str) -> Result<Json, serde_json::Error> {
        let mut parser = serde_json::Deserializer::from_str(text);
        let json = Node::root(&Cell::new(MAX_NODES)).deserialize(&mut parser)?;
        parser.end()?;
        Ok(json)
    }

    pub(crate) fn from_value(value: serde_json::Value) -> Result<Json, serde_json::Error> {
        Node::root(&Cell::new(MAX_NODES)).deserialize(value)
    }

    /// What it is, for messages.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool => "true or false",
            Json::Int(_) => "a number",
            Json::Float(_) => "a number that is not whole",
            Json::Text(_) => "a string",
            Json::Ints(list) if list.is_empty() => "an empty list",
            Json::Ints(_) | Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }
}

/// Whether a text is meant as JSON.
pub(crate) fn starts(text: &str) -> bool {
    matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'[' | b'"'))
}

/// The message of an error without its place, which callers know better.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

/// Reads one value; counts all of them.
#[derive(Clone, Copy)]
struct Node<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl<'a> Node<'a> {
    fn root(left: &'a Cell<usize>) -> Node<'a> {
        Node {
            left,
            depth: MAX_DEPTH,
        }
    }

    fn count<E: serde::de::Error>(self, nodes: usize) -> Result<(), E> {
        let left = self.left.get().checked_sub(nodes);
        self.left
            .set(left.ok_or_else(|| E::custom(format!("the document has more than {MAX_NODES} values")))?);
        Ok(())
    }

    fn inner<E: serde::de::Error>(self) -> Result<Node<'a>, E> {
        let depth = self
            .depth
            .checked_sub(1)
            .ok_or_else(|| E::custom("the document is nested too deeply"))?;
        Ok(Node { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
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
        Ok(Json::Float(number))
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
            match small(&value) {
                Some(int) => ints.push(int),
                None => return self.mixed(ints, value, list),
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

impl Node<'_> {
    /// The rest of a list that turned out not to be one of whole numbers only.
    fn mixed<'de, A: SeqAccess<'de>>(
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

fn small(value: &Json) -> Option<i64> {
    match value {
        Json::Int(int) => i64::try_from(*int).ok(),
        _ => None,
    }
}
