//! Texts made from the table: commented example files and the reference page.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::inventory::{self, write};
use super::keys;
use super::mysqld::OWNED;
use super::table::{NODE, SETTINGS, Setting};
use super::topic::Topic;
use super::variant::{Variant, Volumes};

/// Longest line of a comment.
const WIDTH: usize = 100;

/// A commented file to start from: what the variant needs is set, the rest stands in comments.
#[must_use]
pub fn example(variant: Variant) -> String {
    let profile = inventory::parse(variant.profile.as_bytes()).map(|inventory| inventory.vars).unwrap_or_default();
    let mut text = format!(
        "# Settings of a Galera cluster, variant `{variant}`. Lines that start with `#` are comments; a commented\n\
         # setting shows its default, or an example where it has none.\n\n[all:vars]\n"
    );
    for topic in Topic::ALL.into_iter().filter(|topic| wanted(*topic, variant)) {
        let _ = write!(text, "\n# --- {} ---\n", topic.title());
        for setting in SETTINGS.iter().filter(|setting| setting.topic == topic) {
            let of_another = Variant::of_key(setting.key).is_some_and(|other| other != variant);
            let general = setting.key == keys::STORAGE_CLASS && variant.volumes != Volumes::AnyClass;
            if of_another || general || setting.key.contains(NODE) {
                continue;
            }
            let profiled = profile.get(setting.key).and_then(|assigned| assigned.value.text());
            entry(&mut text, setting, setting.key, profiled);
        }
        if topic == Topic::Iscsi {
            nodes(&mut text);
        }
    }
    text.push_str(
        "\n[template_target]\nlocalhost\n\n# Server options, as in an option file of MariaDB.\n[mysqld]\n\
         #max_connections = 500\n",
    );
    text
}

fn wanted(topic: Topic, variant: Variant) -> bool {
    topic != Topic::Unused && (topic != Topic::Iscsi || variant.volumes == Volumes::Targets)
}

fn entry(text: &mut String, setting: &Setting, key: &str, profiled: Option<&str>) {
    let needed = matches!(key, keys::NAME | keys::ISCSI_CLASS) || setting.topic == Topic::Iscsi;
    let doc = setting.doc.split(" Flag:").next().unwrap_or(setting.doc);
    for line in wrapped(doc) {
        let _ = writeln!(text, "# {line}");
    }
    let value = profiled.or(setting.default.filter(|_| !needed)).unwrap_or(setting.example);
    let mark = if needed || profiled.is_some() { "" } else { "#" };
    let _ = writeln!(text, "{mark}{key}={}", write(value));
}

fn nodes(text: &mut String) {
    text.push_str("# One volume for each node.\n");
    for index in 1..=3 {
        for setting in SETTINGS.iter().filter(|setting| setting.key.contains(NODE)) {
            let key = setting.key.replace(NODE, &format!("node{index}"));
            let _ = writeln!(text, "{key}={}", setting.example.replace("{i}", &index.to_string()));
        }
    }
}

fn wrapped(doc: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in doc.split(' ') {
        if lines.last().is_some_and(|line| !line.is_empty() && line.len() + word.len() >= WIDTH) {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// The reference page of all settings, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::from(INTRODUCTION);
    for topic in Topic::ALL {
        let _ = write!(text, "\n## {}\n\n", topic.title());
        text.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for setting in SETTINGS.iter().filter(|setting| setting.topic == topic) {
            let default = setting.default.map(|default| format!("`{default}`")).unwrap_or_default();
            let key = setting.key.replace(NODE, "node<i>");
            let _ = writeln!(text, "| `{key}` | {} | {default} | {} |", setting.kind.title(), setting.doc);
        }
    }
    text.push_str(OWNED_OPTIONS);
    text.push_str("| option | why |\n|---|---|\n| `wsrep_*` | it is part of forming the cluster |\n");
    for (option, why) in OWNED {
        let _ = writeln!(text, "| `{option}` | {why} |");
    }
    text.push_str("\n## Profiles\n\nA profile sets what differs from the defaults above.\n\n");
    text.push_str("| profile | chosen by | sets |\n|---|---|---|\n");
    for variant in Variant::ALL {
        let vars = inventory::parse(variant.profile.as_bytes()).map(|inventory| inventory.vars).unwrap_or_default();
        let set: BTreeMap<_, _> = vars.iter().filter_map(|(key, value)| Some((key, value.value.text()?))).collect();
        let set: Vec<String> = set.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
        let set = if set.is_empty() { "nothing".to_owned() } else { set.join(", ") };
        let _ = writeln!(text, "| `{variant}` | {} | {set} |", chosen_by(variant));
    }
    text
}

fn chosen_by(variant: Variant) -> String {
    match variant.volumes {
        Volumes::AnyClass => "no key of another variant".to_owned(),
        Volumes::OwnClass(own) => format!("`{own}`"),
        Volumes::Targets => "`galera_cluster_…_iscsi_…`".to_owned(),
    }
}

const OWNED_OPTIONS: &str = "
## Server options that galeractl owns

`[mysqld]` may not set these, in any spelling: with `-` or `_`, in capitals, or behind `loose_`, `skip_`, \
`disable_`, `enable_`, `maximum_` or `autoset_`. The server takes the beginning of a name for the whole; here all \
options are named in full, and the beginning of one of these is refused. A value that is what galeractl sets, or the \
server does by itself, is accepted, so `binlog_format=ROW` may stay where it came with a file.

`default_time_zone` takes an offset such as `+01:00`, or `SYSTEM`: the servers have no tables of named zones. Sections of \
option files other than `[mysqld]`, such as `[mariadb]`, `[client]` or `[sst]`, are groups of hosts here, and options in \
them are refused.

";

const INTRODUCTION: &str = "\
# Settings

<!-- Made from the table in src/settings/table.rs: `UPDATE=1 cargo test --test settings` rewrites this page. -->

Settings are `galera_*` keys. They come from four places, of which the later wins:

1. the profile, chosen by `--profile` or by the keys of the file;
2. the file: `-f`, or else `./galera.conf` if it exists;
3. the environment: the key in capitals, such as `GALERA_CLUSTER_NAME=shop`; an empty variable counts as unset;
4. flags: `--set key=value`, and over these `--name`, `-n`, `--nodes`.

`galeractl config` shows each value and where it comes from. An empty value in a file or flag means: not set, take \
the default. Keys that do not start with `galera_` are ignored; an unknown `galera_` key is an error.

## The file

The file is an Ansible inventory and means what it means to Ansible for the host `localhost`:

```ini
[all:vars]
galera_cluster_name=shop
galera_cluster_volume_size=\"20Gi\"

[template_target]
localhost
```

- Lines that start with `#` or `;` are comments. Behind a value without quotes, `# …` belongs to the value.
- A value in quotes is text, with the escapes of Python. Without quotes, a number is a number: `5.10` is `5.1`.
- Of a key that is set twice, the last one counts. A group's child overrides the group, the host overrides both.
- The items of a list are separated by commas. A comma that belongs to an item has a backslash in front: `example.org/subnets=a\\,b`.
- Templates in `{{ }}` are not evaluated but refused.

Options of the server stand in a section of their own, which Ansible does not know:

```ini
[mysqld]
max_connections = 500
skip-slave-start
```

Those on which the cluster depends are refused by name, see [below](#server-options-that-galeractl-owns). What is \
written wrong is found by the server itself: a new member says so before it touches its volume, and `up` on a running \
cluster asks a server first, so that none goes down because of it.

`--from-my-cnf FILE` takes the options over from the option file of a server elsewhere: those of `[mysqld]`, `[mariadb]`, \
`[mariadbd]`, `[server]`, `[galera]` and `[client-server]`. What galeractl sets itself, such as `datadir`, is left out, each \
with a notice and the reason. Includes and sections of one version are refused, for what they mean depends on where the \
file comes from. What `[mysqld]` of the settings file says as well holds as it stands there. `galeractl config -o conf` \
writes all of it as one settings file.
";
