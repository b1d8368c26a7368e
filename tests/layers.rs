//! The layers of `src/`: every import points down, and no files import each other in a circle.
//!
//! The test reads the `use` declarations and the paths that begin with `crate::`. Re-exports
//! (`pub use`) are followed to the file that defines the name, and are no imports themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// From the bottom to the top. A file may import from its own layer and from those below it.
const LAYERS: &[&[&str]] = &[
    &["error", "files"],
    &["memory", "process", "random", "file_kind"],
    &["output"],
    &["config", "task"],
    &["model"],
    &["checkpoint"],
    &["onnx"],
    &["import"],
    &["backend"],
    &["session"],
    &["device"],
    &["bundled"],
    &["solver"],
    &["capi", "guide"],
];

/// Modules that know no puzzles, and so may not import `task`.
const WITHOUT_PUZZLES: &[&str] = &["config", "model", "checkpoint", "onnx", "import", "backend"];

/// Imports that break a rule, as `file -> file`. This list may only shrink.
const EXCEPTIONS: &[&str] = &[];

/// Source text by path below `src/`, such as `session/mod.rs`.
type Sources = BTreeMap<String, String>;

#[test]
fn imports_point_down_and_form_no_circle() {
    let found = violations(&sources());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_planted_import_from_a_higher_layer_is_caught() {
    let planted = [
        (
            "model/plan.rs",
            "use crate::solver::Solver;",
            "imports from the higher layer solver",
        ),
        (
            "backend/cpu/halt.rs",
            "use crate::task::Puzzle;",
            "knows puzzles",
        ),
        (
            "config/check.rs",
            "fn f() { crate::session::start(); }",
            "higher layer session",
        ),
        (
            "checkpoint/zip.rs",
            "use crate::{\n    error::Error,\n    import::Model,\n};",
            "import",
        ),
    ];
    for (file, text, expected) in planted {
        let mut sources = sources();
        sources
            .get_mut(file)
            .expect(file)
            .push_str(&format!("\n{text}\n"));
        let found = violations(&sources);
        assert!(
            found
                .iter()
                .any(|v| v.contains(file) && v.contains(expected)),
            "{file}: {text}: {found:?}"
        );
    }
}

#[test]
fn a_planted_circle_is_caught() {
    let mut sources = sources();
    let halting = sources.get_mut("session/halting.rs").expect("the file");
    halting.push_str("\nuse super::HaltPolicy;\n");
    let found = violations(&sources);
    let is_circle = |v: &String| v.contains("session/halting.rs") && v.contains("policy.rs");
    assert!(found.iter().any(is_circle), "{found:?}");
}

/// Reads all files of `src/`, without test modules.
fn sources() -> Sources {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Sources::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(&root).expect("below src");
            let name = name.to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && name != "lib.rs" && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let end = text.find("#[cfg(test)]").or(text.find("#[cfg(all(test"));
                sources.insert(name, text[..end.unwrap_or(text.len())].to_owned());
            }
        }
    }
    assert!(
        sources.len() > 100,
        "only {} files were found",
        sources.len()
    );
    sources
}

/// Returns every import that breaks a rule, and every circle.
fn violations(sources: &Sources) -> Vec<String> {
    let arrows = arrows(sources);
    let mut found = Vec::new();
    for (from, targets) in &arrows {
        for to in targets {
            if EXCEPTIONS.contains(&format!("{from} -> {to}").as_str()) {
                continue;
            }
            let (own, other) = (module(from), module(to));
            if layer(own) < layer(other) {
                found.push(format!(
                    "{from} -> {to}: imports from the higher layer {other}"
                ));
            }
            if WITHOUT_PUZZLES.contains(&own) && other == "task" {
                found.push(format!("{from} -> {to}: {own} knows puzzles"));
            }
        }
    }
    found.extend(circles(&arrows));
    found
}

/// The first part of a path: `session/mod.rs` and `session.rs` are `session`.
fn module(file: &str) -> &str {
    let first = file.split('/').next().unwrap_or(file);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|layer| layer.contains(&module))
        .unwrap_or_else(|| panic!("src/{module} is in no layer: add it to LAYERS"))
}

/// Which files each file imports.
fn arrows(sources: &Sources) -> BTreeMap<String, BTreeSet<String>> {
    let re_exports = re_exports(sources);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources {
        let targets = arrows.entry(file.clone()).or_default();
        for path in imported_paths(text, &module_path(file)) {
            if let Some(target) = resolve(&path, sources, &re_exports)
                && target != *file
            {
                targets.insert(target);
            }
        }
    }
    arrows
}

/// The module path of a file: `session/policy.rs` is `[session, policy]`.
fn module_path(file: &str) -> Vec<String> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// For the path of a re-exported name the path that it stands for.
fn re_exports(sources: &Sources) -> BTreeMap<Vec<String>, Vec<String>> {
    let mut all = BTreeMap::new();
    for (file, text) in sources {
        let own = module_path(file);
        for (is_public, declaration) in declarations(text) {
            if !is_public {
                continue;
            }
            for path in expand(&declaration) {
                let target = absolute(&path, &own);
                if let Some(name) = target.last() {
                    let mut exported = own.clone();
                    exported.push(name.clone());
                    if exported != target {
                        all.insert(exported, target);
                    }
                }
            }
        }
    }
    all
}

/// All paths that a file imports or names with `crate::`, from the root of the crate.
fn imported_paths(text: &str, own: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    for (is_public, declaration) in declarations(text) {
        if !is_public {
            paths.extend(expand(&declaration).iter().map(|path| absolute(path, own)));
        }
    }
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("//") || line.contains("use ") {
            continue;
        }
        for (at, _) in line.match_indices("crate::") {
            let rest = &line[at + "crate::".len()..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            let path = rest[..end.unwrap_or(rest.len())].split("::");
            paths.push(
                path.filter(|part| !part.is_empty())
                    .map(str::to_owned)
                    .collect(),
            );
        }
    }
    paths
}

/// The `use` declarations of a file, and whether they are public.
fn declarations(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut open: Option<(bool, String)> = None;
    for line in text.lines() {
        let code = line.trim_start();
        if open.is_none() && !code.starts_with("//") {
            if let Some(rest) = code.strip_prefix("use ") {
                open = Some((false, rest.to_owned()));
            } else if code.starts_with("pub")
                && let Some((before, rest)) = code.split_once("use ")
                && !before.contains("fn ")
            {
                open = Some((true, rest.to_owned()));
            }
        } else if let Some((_, declaration)) = &mut open {
            declaration.push_str(code);
        }
        if let Some((_, declaration)) = &open
            && declaration.contains(';')
        {
            found.extend(open.take());
        }
    }
    found
}

/// The paths of a declaration, with its braces expanded and `as` and `self` removed.
fn expand(declaration: &str) -> Vec<Vec<String>> {
    let declaration = declaration.trim_end_matches(';').trim();
    let Some((prefix, rest)) = declaration.split_once('{') else {
        let path = declaration.split(" as ").next().unwrap_or(declaration);
        let parts = path.split("::").map(|part| part.trim().to_owned());
        return vec![
            parts
                .filter(|part| !part.is_empty() && part != "self")
                .collect(),
        ];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut items = vec![String::new()];
    let mut depth = 0;
    for c in inner.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(item) = items.last_mut() {
            item.push(c);
        }
    }
    let items = items
        .iter()
        .map(|item| item.trim())
        .filter(|item| !item.is_empty());
    items
        .flat_map(|item| expand(&format!("{prefix}{item}")))
        .collect()
}

/// A path from the root of the crate. A path of another crate names no file, and is dropped later.
fn absolute(path: &[String], own: &[String]) -> Vec<String> {
    let mut base: Vec<String> = match path.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("super") => own.to_vec(),
        _ => return [own, path].concat(),
    };
    for part in path {
        match part.as_str() {
            "crate" => {}
            "super" => {
                base.pop();
            }
            part => base.push(part.to_owned()),
        }
    }
    base
}

/// The file that defines a path, with re-exports followed.
fn resolve(
    path: &[String],
    sources: &Sources,
    re_exports: &BTreeMap<Vec<String>, Vec<String>>,
) -> Option<String> {
    let mut path = path.to_vec();
    for _ in 0..8 {
        let next = (1..=path.len()).rev().find_map(|len| {
            let target = re_exports.get(&path[..len])?;
            Some([target.as_slice(), &path[len..]].concat())
        });
        match next {
            Some(next) if next != path => path = next,
            _ => break,
        }
    }
    (1..=path.len()).rev().find_map(|len| {
        let file = path[..len].join("/");
        [format!("{file}.rs"), format!("{file}/mod.rs")]
            .into_iter()
            .find(|file| sources.contains_key(file))
    })
}

/// Groups of files that import each other, directly or through others.
fn circles(arrows: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reachable = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut queue = vec![from.clone()];
        while let Some(file) = queue.pop() {
            for to in arrows.get(&file).into_iter().flatten() {
                if seen.insert(to.clone()) {
                    queue.push(to.clone());
                }
            }
        }
        seen
    };
    let reached: BTreeMap<&String, BTreeSet<String>> =
        arrows.keys().map(|file| (file, reachable(file))).collect();
    let mut groups = BTreeSet::new();
    for (file, seen) in &reached {
        if seen.contains(*file) {
            let members: BTreeSet<&String> = seen
                .iter()
                .filter(|other| reached.get(other).is_some_and(|seen| seen.contains(*file)))
                .collect();
            groups.insert(members);
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let files: Vec<&str> = group.into_iter().map(String::as_str).collect();
            format!(
                "these files import each other in a circle: {}",
                files.join(", ")
            )
        })
        .collect()
}
