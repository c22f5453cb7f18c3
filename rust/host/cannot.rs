// SPDX-License-Identifier: GPL-2.0

//! What cannot be written.
//!
//! Each file in `cannot/` is a crate of its own, made of the very files of custody. With the
//! configuration `wrong` it must be refused, for the reasons and on the lines that are marked
//! `//~ CODE`, and for no other; without it, so without these lines only, it must compile.

use std::{
    env,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command, //
};

/// The line of an error, and its code.
type Error = (usize, String);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cannot")
}

/// The errors that are marked in a snippet.
fn marked(source: &str) -> Vec<Error> {
    let lines = source.lines().zip(1..);
    lines
        .filter_map(|(text, line)| Some((text.split_once("//~ ")?.1, line)))
        .flat_map(|(codes, line)| {
            let codes = codes.split_whitespace();
            codes.map(move |code| (line, code.to_owned()))
        })
        .collect()
}

/// The errors that the compiler finds in the snippet, and all that it says.
fn found(snippet: &Path, wrong: bool) -> (Vec<Error>, String) {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let name = snippet.file_stem().unwrap_or_default().to_string_lossy();
    let out = format!("tdx-pages-{}-{name}-{wrong}", std::process::id());
    let out = env::temp_dir().join(out);
    let mut command = Command::new(&rustc);
    command
        .args(["--crate-type=lib", "--edition=2021", "--emit=metadata"])
        .args(["--error-format=short", "--cap-lints=allow", "--out-dir"])
        .arg(&out)
        .arg(snippet);
    if wrong {
        command.args(["--cfg", "wrong"]);
    }
    let done = command
        .output()
        .unwrap_or_else(|error| panic!("{rustc:?}: {error}"));
    let _ = fs::remove_dir_all(&out);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let mut errors: Vec<Error> = said
        .lines()
        .filter_map(|text| {
            // "FILE:LINE:COLUMN: error[CODE]: ..."; the last line, that it gives up, has no place.
            let (place, rest) = text.split_once(": error")?;
            let mut place = place.rsplitn(3, ':').skip(1);
            let line = place.next()?.parse().ok()?;
            let here = Path::new(place.next()?) == snippet;
            let code = rest
                .strip_prefix('[')
                .and_then(|rest| rest.split(']').next());
            Some((
                if here { line } else { 0 },
                code.unwrap_or("no code").to_owned(),
            ))
        })
        .collect();
    errors.sort();
    errors.dedup();
    assert_eq!(done.status.success(), errors.is_empty(), "{said}");
    (errors, said)
}

fn cannot(name: &str) {
    let snippet = directory().join(name).with_extension("rs");
    let source = fs::read_to_string(&snippet).expect("the snippet is there");
    let marked = marked(&source);
    assert!(!marked.is_empty(), "nothing is marked in {name}");
    let wrong = source.matches("#[cfg(wrong)]").count();
    assert_eq!(
        source.matches("//~ ").count(),
        wrong,
        "{name}: one mark for each"
    );
    let (errors, said) = found(&snippet, true);
    assert_eq!(errors, marked, "{said}");
    let (errors, said) = found(&snippet, false);
    assert_eq!(errors, [], "without the marked lines: {said}");
}

macro_rules! snippets {
    ($($name:ident)+) => {
        $(#[test] fn $name() { cannot(stringify!($name)); })+

        #[test]
        fn every_snippet_is_tried() {
            let mut files: Vec<String> = fs::read_dir(directory())
                .expect("the directory is there")
                .filter_map(|entry| {
                    let path = entry.ok()?.path();
                    let is_source = path.extension().is_some_and(|suffix| suffix == "rs");
                    let name = path.file_stem()?.to_string_lossy().into_owned();
                    is_source.then_some(name)
                })
                .collect();
            files.sort();
            assert_eq!(files, [$(stringify!($name)),+]);
        }
    };
}

snippets! {
    answer_for_another
    answer_out_of_another
    ask_for_the_address
    change_what_is_lent
    fill_what_is_published
    free_what_is_held
    free_what_is_lent
    hand_over_twice
    lend_what_is_held
    list_what_is_not_on_record
    make_an_operand_up
    make_one_up
    read_what_is_held
    read_what_is_offered
    release_twice
    use_the_slot_twice
    use_what_was_handed_over
}
