//! Follows the references of `OmegaConf` in a configuration, such as `${.hidden_size}`.
//!
//! A reference names a key of the same file: `${arch.hidden_size}` from the top, `${.hidden_size}`
//! beside the value, `${..hidden_size}` one level above. What refers to anything else (an
//! environment variable, the time, a key that is not there) stays unresolved, with the reason.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Key of the mapping that replaces a value whose reference cannot be followed. Its value is the
/// text and the reason.
const UNRESOLVED: &str = "${unresolved}";
/// Most references from one to the next.
const MAX_CHAIN: usize = 16;
/// Most references that are followed in a file.
const MAX_REFERENCES: usize = 2_000;
/// Largest value that a reference may copy, in values.
const MAX_COPIED_VALUES: usize = 1_000;
/// Longest text that references may produce, in bytes.
const MAX_TEXT_BYTES: usize = 4096;

/// Follows all references of a configuration.
pub(super) fn resolve(all: &mut Map<String, Value>) {
    let mut found = Vec::new();
    collect(&Value::Object(all.clone()), &mut Vec::new(), &mut found);
    if found.is_empty() {
        return;
    }
    let root = Value::Object(all.clone());
    let mut follower = Follower {
        root: &root,
        left: MAX_REFERENCES,
    };
    let mut resolved = BTreeMap::new();
    for (path, text) in found {
        let value = follower.text(&text, &path, 0);
        let value = value.unwrap_or_else(|reason| unresolved(&text, &reason));
        resolved.insert(path, value);
    }
    for (path, value) in resolved {
        if let Some(place) = place(all, &path) {
            *place = value;
        }
    }
}

/// Returns the text and the reason of an unresolved reference.
pub(super) fn unresolved_reason(value: &Value) -> Option<(&str, &str)> {
    let parts = value.get(UNRESOLVED)?.as_array()?;
    match parts.as_slice() {
        [Value::String(text), Value::String(reason)] => Some((text, reason)),
        _ => None,
    }
}

fn unresolved(text: &str, reason: &str) -> Value {
    let mut map = Map::new();
    map.insert(
        UNRESOLVED.to_owned(),
        Value::Array(vec![text.into(), reason.into()]),
    );
    Value::Object(map)
}

/// A step of a path: a key of a mapping, or the position in a list as text.
type Path = Vec<String>;

/// Collects the texts with references.
fn collect(value: &Value, path: &mut Path, found: &mut Vec<(Path, String)>) {
    match value {
        Value::String(text) if text.contains("${") => found.push((path.clone(), text.clone())),
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                collect(value, path, found);
                path.pop();
            }
        }
        Value::Array(list) => {
            for (i, value) in list.iter().enumerate() {
                path.push(i.to_string());
                collect(value, path, found);
                path.pop();
            }
        }
        _ => {}
    }
}

/// Returns the value at a path.
fn place<'v>(all: &'v mut Map<String, Value>, path: &[String]) -> Option<&'v mut Value> {
    let (first, rest) = path.split_first()?;
    rest.iter()
        .try_fold(all.get_mut(first)?, |value, step| match value {
            Value::Object(map) => map.get_mut(step),
            Value::Array(list) => list.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        })
}

struct Follower<'v> {
    root: &'v Value,
    /// References that may still be followed.
    left: usize,
}

impl Follower<'_> {
    /// Returns the value of a text at `path`.
    ///
    /// # Errors
    /// The reason why a reference cannot be followed.
    fn text(&mut self, text: &str, path: &[String], depth: usize) -> Result<Value, String> {
        if let Some(inner) = whole(text) {
            return self.reference(inner, path, depth);
        }
        let mut out = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let end = closing(after).ok_or("the reference has no closing brace")?;
            let (inner, after) = after.split_at(end);
            let value = self.reference(inner, path, depth)?;
            out.push_str(before);
            match value {
                Value::String(text) => out.push_str(&text),
                Value::Object(_) | Value::Array(_) => {
                    return Err("it puts a list or a mapping into a text".into());
                }
                other => out.push_str(&other.to_string()),
            }
            if out.len() > MAX_TEXT_BYTES {
                return Err(format!(
                    "it makes a text of more than {MAX_TEXT_BYTES} bytes"
                ));
            }
            rest = after.get(1..).unwrap_or_default();
        }
        out.push_str(rest);
        Ok(Value::String(out))
    }

    /// Returns the value of a reference, without its braces.
    fn reference(&mut self, inner: &str, path: &[String], depth: usize) -> Result<Value, String> {
        if depth >= MAX_CHAIN {
            return Err(format!(
                "more than {MAX_CHAIN} references follow one another, or they form a circle"
            ));
        }
        self.left = self
            .left
            .checked_sub(1)
            .ok_or("the file has too many references")?;
        let inner = inner.trim();
        // `${a.${b}}`: the inner reference gives a part of the name.
        let inner = match inner.contains("${") {
            true => match self.text(inner, path, depth + 1)? {
                Value::String(text) => text,
                other => other.to_string(),
            },
            false => inner.to_owned(),
        };
        if let Some((resolver, argument)) = inner.split_once(':') {
            return Err(match resolver {
                "env" | "oc.env" => format!(
                    "it refers to the environment variable {argument} of the training, which is \
                     not read"
                ),
                "now" => "it refers to the time of the training".into(),
                "hydra" => "it refers to a setting of Hydra, which is not in the file".into(),
                other => format!("it calls the resolver \"{other}\", which is not supported"),
            });
        }
        let target = self.target(&inner, path)?;
        let missing = || format!("the file has no key \"{inner}\"");
        let value = look_up(self.root, &target)
            .or_else(|| {
                // A file that is itself the mapping `arch`.
                let (first, rest) = target.split_first()?;
                let is_arch = first == "arch" && self.root.get("arch").is_none();
                is_arch.then(|| look_up(self.root, rest)).flatten()
            })
            .ok_or_else(missing)?;
        if count(value, MAX_COPIED_VALUES + 1) > MAX_COPIED_VALUES {
            return Err("it refers to a large part of the file".into());
        }
        match value {
            Value::String(text) if text.contains("${") => self.text(text, &target, depth + 1),
            other => Ok(other.clone()),
        }
    }

    /// Returns the path that a reference at `path` names.
    fn target(&self, inner: &str, path: &[String]) -> Result<Path, String> {
        let name = inner.trim_start_matches('.');
        let dots = inner.len() - name.len();
        let mut target: Path = match dots {
            0 => Vec::new(),
            _ => {
                let kept = path.len().checked_sub(dots);
                let kept = kept.ok_or("it refers to a level above the file")?;
                path.get(..kept).unwrap_or_default().to_vec()
            }
        };
        // `a[0]` and `a["b"]` are other forms of `a.0` and `a.b`.
        let plain = name.replace('[', ".").replace([']', '"', '\''], "");
        let steps = plain.split('.').filter(|step| !step.is_empty());
        target.extend(steps.map(str::to_owned));
        match target.is_empty() {
            true => Err("it names no key".into()),
            false => Ok(target),
        }
    }
}

/// Returns the reference that is the whole text, without its braces.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("${")?;
    let end = closing(inner)?;
    (end + 1 == inner.len()).then(|| inner.get(..end)).flatten()
}

/// Returns the position of the brace that closes a reference, from behind its opening.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1usize;
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

fn look_up<'v>(root: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(root, |value, step| match value {
        Value::Object(map) => map.get(step),
        Value::Array(list) => list.get(step.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Counts the values in a value, up to a maximum.
fn count(value: &Value, max: usize) -> usize {
    let mut total = 1;
    let mut pending = vec![value];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(map) => pending.extend(map.values()),
            Value::Array(list) => pending.extend(list),
            _ => {}
        }
        total += 1;
        if total + pending.len() > max {
            return max;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolved(value: Value) -> Map<String, Value> {
        let Value::Object(mut map) = value else {
            panic!("a mapping")
        };
        resolve(&mut map);
        map
    }

    #[test]
    fn references_are_followed() {
        let map = resolved(json!({
            "width": 64, "name": "w${width}", "copy": "${name}", "list": [1, "${width}"],
            "arch": {"a": "${.b}", "b": "${..width}", "c": "${arch.b}", "d": "${list[1]}",
                     "e": {"f": "${..a}"}, "g": "${arch.${key}}", "h": "${arch.deep.x}",
                     "deep": "${other}"},
            "key": "b", "other": {"x": 5},
        }));
        assert_eq!(map["copy"], "w64");
        assert_eq!(map["list"], json!([1, 64]));
        let arch = &map["arch"];
        for key in ["a", "b", "c", "d", "g"] {
            assert_eq!(arch[key], 64, "{key}");
        }
        assert_eq!(arch["e"]["f"], 64);
        // A file that is itself `arch`.
        assert_eq!(resolved(json!({"d": 4, "n": "${arch.d}"}))["n"], 4);
    }

    #[test]
    fn what_cannot_be_followed_is_explained() {
        for (text, reason) in [
            ("${oc.env:WIDTH}", "environment variable WIDTH"),
            ("${env:WIDTH}", "environment variable WIDTH"),
            ("${now:%Y}", "time of the training"),
            ("${eval:2*3}", "resolver \"eval\""),
            ("${.absent}", "no key \".absent\""),
            ("${absent.x}", "no key \"absent.x\""),
            ("${...x}", "above the file"),
            ("${x", "closing brace"),
            ("${loop}", "circle"),
            ("${}", "names no key"),
        ] {
            let map = resolved(json!({"x": text, "loop": "${back}", "back": "${loop}"}));
            let (found, why) = unresolved_reason(&map["x"]).expect(text);
            assert_eq!(found, text);
            assert!(why.contains(reason), "{text}: {why}");
        }
    }

    #[test]
    fn hostile_references_end_soon() {
        // Each value doubles the one before it.
        let mut map = Map::new();
        map.insert("a0".into(), "xxxxxxxx".into());
        for i in 1..200 {
            map.insert(
                format!("a{i}"),
                format!("${{a{}}}${{a{}}}", i - 1, i - 1).into(),
            );
        }
        let start = std::time::Instant::now();
        resolve(&mut map);
        assert!(unresolved_reason(&map["a199"]).is_some());
        assert!(start.elapsed().as_secs() < 2, "{:?}", start.elapsed());
    }
}
