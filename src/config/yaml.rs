//! Reads YAML as JSON values, within limits, because `all_config.yaml` is untrusted input.
//!
//! Scalars get the types that PyYAML (YAML 1.1) gives to what training writes. Tags other than
//! `!!str` have no effect: `!!python/object` yields plain data. An alias copies its value, and the
//! copy counts towards the limit of values.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// Most levels of nested lists and mappings.
const MAX_DEPTH: usize = 32;
/// Most values in the whole document, the copies made by aliases included.
const MAX_NODES: usize = 20_000;

/// Reads the first document of `text`. An empty text gives [`Value::Null`].
///
/// # Errors
/// The text is not valid YAML, or exceeds a limit. The message gives the line.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let mut builder = Builder {
        open_nodes: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|e| Error::config(format!("is not valid YAML: {e}")).with_source(e))?;
        let done = builder
            .handle(event)
            .map_err(|e| e.context(format!("line {}", span.start.line())))?;
        if let Some(value) = done {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

/// Builds the value of a document from parser events.
struct Builder {
    /// The lists and mappings that enclose the next event, outermost first.
    open_nodes: Vec<OpenNode>,
    /// Value and number of nodes of each anchor.
    anchors: HashMap<usize, (Value, usize)>,
    /// Nodes so far, copies included.
    nodes: usize,
}

/// A list or mapping whose end event is still to come.
struct OpenNode {
    /// Number of its anchor; 0 without one.
    anchor: usize,
    /// Nodes before it. The difference at its end is what an alias copies.
    nodes_before: usize,
    container: Container,
}

enum Container {
    List(Vec<Value>),
    /// The entries so far, and the key whose value comes next.
    Map(Map<String, Value>, Option<String>),
}

impl Builder {
    /// Handles an event. Returns the document once it is complete.
    fn handle(&mut self, event: Event<'_>) -> Result<Option<Value>> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_tag = tag.is_some_and(|t| t.is_yaml_core_schema() && t.suffix == "str");
                let plain = style == ScalarStyle::Plain && !text_tag;
                let value = if plain {
                    scalar(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.count(1)?;
                self.close(value, anchor, self.nodes - 1)
            }
            Event::SequenceStart(anchor, _) => self.open(anchor, Container::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, Container::Map(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open_nodes.pop() {
                Some(OpenNode {
                    anchor,
                    nodes_before,
                    container: Container::List(list),
                }) => self.close(Value::Array(list), anchor, nodes_before),
                Some(OpenNode {
                    anchor,
                    nodes_before,
                    container: Container::Map(mut map, _),
                }) => {
                    merge(&mut map);
                    self.close(Value::Object(map), anchor, nodes_before)
                }
                None => Err(Error::config("is not valid YAML")),
            },
            Event::Alias(id) => {
                let Some((value, nodes)) = self.anchors.get(&id) else {
                    return Err(Error::config(
                        "has an alias inside the value that it refers to",
                    ));
                };
                let (nodes, nodes_before) = (*nodes, self.nodes);
                // Checks the limit before the copy takes memory.
                if nodes_before + nodes > MAX_NODES {
                    return self.count(nodes).map(|()| None);
                }
                let value = value.clone();
                self.count(nodes)?;
                self.close(value, 0, nodes_before)
            }
            _ => Ok(None),
        }
    }

    /// Counts nodes against the limit.
    fn count(&mut self, nodes: usize) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Error::config(format!(
                "holds more than {MAX_NODES} values, aliases included"
            )));
        }
        Ok(())
    }

    /// Starts a list or mapping.
    fn open(&mut self, anchor: usize, container: Container) -> Result<Option<Value>> {
        if self.open_nodes.len() >= MAX_DEPTH {
            return Err(Error::config(format!(
                "is nested more than {MAX_DEPTH} deep"
            )));
        }
        self.count(1)?;
        self.open_nodes.push(OpenNode {
            anchor,
            nodes_before: self.nodes - 1,
            container,
        });
        Ok(None)
    }

    /// Adds a complete value to the enclosing list or mapping. Returns it if nothing encloses it.
    fn close(&mut self, value: Value, anchor: usize, nodes_before: usize) -> Result<Option<Value>> {
        if anchor > 0 {
            self.anchors
                .insert(anchor, (value.clone(), self.nodes - nodes_before));
            // The copy in `anchors` takes memory, too.
            self.count(self.nodes - nodes_before)?;
        }
        match self.open_nodes.last_mut().map(|open| &mut open.container) {
            None => return Ok(Some(value)),
            Some(Container::List(list)) => list.push(value),
            Some(Container::Map(map, key)) => match key.take() {
                Some(key) => {
                    map.insert(key, value);
                }
                None => *key = Some(key_text(value)),
            },
        }
        Ok(None)
    }
}

/// Adds the entries of the mappings under the merge key `<<`, which an alias usually gives. The
/// entries beside the key win, then those of the first mapping.
fn merge(map: &mut Map<String, Value>) {
    let merged = match map.get("<<") {
        Some(Value::Object(_)) => map.shift_remove("<<").into_iter().collect(),
        Some(Value::Array(list)) if list.iter().all(Value::is_object) => {
            match map.shift_remove("<<") {
                Some(Value::Array(list)) => list,
                _ => Vec::new(),
            }
        }
        _ => return,
    };
    for mapping in merged {
        if let Value::Object(entries) = mapping {
            for (key, value) in entries {
                map.entry(key).or_insert(value);
            }
        }
    }
}

/// Returns the key of a mapping as text. A key that is not a string becomes its JSON.
fn key_text(key: Value) -> String {
    match key {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Returns the value of a plain scalar. Numbers, booleans and null are recognised as in YAML 1.1.
pub(crate) fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let numeric = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-._eE".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !numeric {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Ok(n) = digits.parse::<i64>() {
        return n.into();
    }
    match digits
        .parse::<f64>()
        .ok()
        .and_then(serde_json::Number::from_f64)
    {
        Some(n) => Value::Number(n),
        None => Value::String(text.to_owned()),
    }
}
