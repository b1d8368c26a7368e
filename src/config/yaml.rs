//! YAML as JSON values, within limits: `all_config.yaml` may come from a stranger.
//!
//! Scalars are typed as PyYAML (YAML 1.1) types what training dumps. Tags are not obeyed: `!!python/object` makes
//! nothing but plain data. Aliases are copies, and copies count.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

const MAX_DEPTH: usize = 32;
/// Values in the whole document, those of aliases included.
const MAX_NODES: usize = 20_000;

/// Reads the first document of `text`.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let mut builder = Builder {
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| Error::config(format!("is not valid YAML: {e}")).with_source(e))?;
        let done = builder
            .take(event)
            .map_err(|e| e.context(format!("line {}", span.start.line())))?;
        if let Some(value) = done {
            return Ok(value);
        }
    }
    Ok(Value::Null)
}

struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, (Value, usize)>,
    nodes: usize,
}

/// A list or mapping whose end has not come yet.
struct Open {
    anchor: usize,
    /// Nodes before it, to know how many an alias of it copies.
    before: usize,
    into: Into,
}

enum Into {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

impl Builder {
    /// Takes an event; gives the document when it is complete.
    fn take(&mut self, event: Event<'_>) -> Result<Option<Value>> {
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
            Event::SequenceStart(anchor, _) => self.open(anchor, Into::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.open(anchor, Into::Map(Map::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open {
                    anchor,
                    before,
                    into: Into::List(list),
                }) => self.close(Value::Array(list), anchor, before),
                Some(Open {
                    anchor,
                    before,
                    into: Into::Map(map, _),
                }) => self.close(Value::Object(map), anchor, before),
                None => Err(Error::config("is not valid YAML")),
            },
            Event::Alias(id) => {
                let Some((value, nodes)) = self.anchors.get(&id) else {
                    return Err(Error::config(
                        "has an alias inside the very value that it stands for",
                    ));
                };
                let (nodes, before) = (*nodes, self.nodes);
                // Counted before it is copied.
                if before + nodes > MAX_NODES {
                    return self.count(nodes).map(|()| None);
                }
                let value = value.clone();
                self.count(nodes)?;
                self.close(value, 0, before)
            }
            _ => Ok(None),
        }
    }

    fn count(&mut self, nodes: usize) -> Result<()> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(Error::config(format!(
                "holds more than {MAX_NODES} values, aliases included"
            )));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, into: Into) -> Result<Option<Value>> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Error::config(format!("is nested more than {MAX_DEPTH} deep")));
        }
        self.count(1)?;
        self.open.push(Open {
            anchor,
            before: self.nodes - 1,
            into,
        });
        Ok(None)
    }

    /// Puts a finished value where it belongs.
    fn close(&mut self, value: Value, anchor: usize, before: usize) -> Result<Option<Value>> {
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), self.nodes - before));
            // The kept copy takes memory too.
            self.count(self.nodes - before)?;
        }
        match self.open.last_mut().map(|open| &mut open.into) {
            None => return Ok(Some(value)),
            Some(Into::List(list)) => list.push(value),
            Some(Into::Map(map, key)) => match key.take() {
                Some(key) => {
                    map.insert(key, value);
                }
                None => *key = Some(text(value)),
            },
        }
        Ok(None)
    }
}

/// A mapping's key; one that is no text is kept as its JSON.
fn text(key: Value) -> String {
    match key {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// The value of a plain scalar, also of `--set KEY=VALUE`.
pub(crate) fn scalar(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _ => {}
    }
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-._eE".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    if !numeric {
        return Value::String(text.to_owned());
    }
    let digits = text.replace('_', "");
    if let Ok(n) = digits.parse::<i64>() {
        return n.into();
    }
    match digits.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
        Some(n) => Value::Number(n),
        None => Value::String(text.to_owned()),
    }
}
