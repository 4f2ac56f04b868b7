//! The order of the library's modules, which the compiler does not check.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Code without comments and tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or("");
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text.lines().filter(is_code).collect::<Vec<_>>().join("\n")
}

/// What each module of the first level imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let inner = file.strip_prefix(&root).unwrap();
        let module = inner.iter().next().unwrap().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        if module == "lib" || name.contains("tests") || name == "parity.rs" {
            continue;
        }
        for path in code(&fs::read_to_string(&file).unwrap())
            .split("crate::")
            .skip(1)
        {
            let end = path.find(|c: char| !c.is_ascii_lowercase() && c != '_');
            let other = &path[..end.unwrap_or(path.len())];
            if !other.is_empty() && other != module {
                imports
                    .entry(module.clone())
                    .or_default()
                    .insert(other.to_owned());
            }
        }
    }
    imports
}

#[test]
fn modules_import_one_another_in_no_circle() {
    let mut imports = imports();
    assert!(imports["predict"].contains("scene"), "{imports:?}");
    // Whatever imports nothing that is left goes; a circle stays.
    loop {
        let left: BTreeSet<String> = imports.keys().cloned().collect();
        let before = imports.len();
        imports.retain(|_, others| !others.is_disjoint(&left));
        if imports.len() == before {
            break;
        }
    }
    assert!(imports.is_empty(), "among these is a circle: {imports:?}");
}
