//! The client in a pod, for somebody elsewhere.

use galeractl::manifests::scripts::CLIENT;

use super::stage::{Done, Stage};

/// Keeps what it finds in its file of options and on its command line. The first call is the question whether one gets in.
const CLIENT_STUB: &str = r#"file=${1#--defaults-file=}
cat "$file" >"$STUB/file.$(ls "$STUB" | grep -c file)"
printf '%s\n' "$@" >"$STUB/arguments"
case "$*" in *'DO 0'*) [ ! -e "$STUB/denied" ] || { printf 'ERROR 1045 (28000):\nAccess denied\n' >&2; exit 1; }; exit;; esac
cat >"$STUB/statements"
echo result; echo warning >&2; exit 3"#;

fn run(stage: &Stage, typed: &str) -> Done {
    stage.program("mariadb", CLIENT_STUB);
    stage.write("typed", typed);
    let script = format!(
        "exec bash -c \"$CLIENT\" client root 'init_command=\"SET x\"' --table shop <'{}'",
        stage.path("typed").display()
    );
    stage.run(&["-c", &script], &[("CLIENT", CLIENT)])
}

#[test]
fn it_gets_the_password_unseen_and_everything_else_as_it_is() {
    let stage = Stage::new();
    let password = r#"it's "a\n#b $(touch canary)"#;
    let done = run(&stage, &format!("{password}\nSELECT 1;\n\\! id\n"));
    assert_eq!((done.code, done.out.as_str()), (Some(3), "password?\nready\nresult\n"), "{done}");
    assert_eq!(done.err, "warning\n");
    assert_eq!(stage.read("stub/statements"), "SELECT 1;\n\\! id\n");
    let arguments = stage.read("stub/arguments");
    assert!(arguments.ends_with("--table\nshop\n") && !arguments.contains("it's"), "{arguments}");
    for file in ["stub/file.0", "stub/file.1"] {
        let text = stage.read(file);
        assert!(text.contains(r#"password="it's \"a\\n#b $(touch canary)""#), "{text}");
        assert!(text.contains("user=root") && text.contains("/mysqld.sock\""), "{text}");
    }
    assert!(!stage.read("stub/file.0").contains("SET x") && stage.read("stub/file.1").contains("SET x"));
    stage.assert_unharmed();
}

#[test]
fn who_does_not_get_in_is_told_why_on_one_line() {
    let stage = Stage::new();
    stage.write("stub/denied", "");
    let done = run(&stage, "wrong\nSELECT 1;\n");
    assert_eq!((done.code, done.out.as_str()), (Some(1), "password?\nrefused: ERROR 1045 (28000): Access denied\n"));
    assert!(!stage.has("stub/statements"));
}
