//! The option file of a server, as people have it: `my.cnf`.

use std::collections::BTreeSet;

use super::Fault;
use super::bytes::{Form, decode, lines, strip};
use super::options::{self, MysqldOption};

/// Sections that a server of `MariaDB` with Galera reads, whatever its version.
const OF_SERVERS: [&str; 6] = ["mysqld", "mariadb", "mariadbd", "server", "galera", "client-server"];
/// Sections of servers that have their version behind the name.
const VERSIONED: [&str; 3] = ["mysqld-", "mariadb-", "mariadbd-"];

/// What an option file says to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OptionFile {
    /// Its options, in order.
    pub options: Vec<MysqldOption>,
    /// Sections of other programs, which are not read.
    pub others: BTreeSet<String>,
}

/// Reads what servers would read.
///
/// # Errors
/// Every line that a server would refuse, or that means something only where the file comes from.
pub fn read(bytes: &[u8]) -> Result<OptionFile, Vec<Fault>> {
    let text = decode(bytes, Form::OptionFile).map_err(|fault| vec![fault])?;
    let (mut file, mut faults) = (OptionFile::default(), Vec::new());
    // `None` before the first header.
    let mut is_read = None;
    let mut of_version = None;
    for (index, line) in lines(text).enumerate() {
        let mut refuse = |problem: String| faults.push(Fault { line: index + 1, problem });
        let line = strip(line);
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            // As the server: what stands behind the bracket does not count.
            let Some((name, _)) = name.split_once(']') else {
                is_read = Some(false);
                refuse("has no `]` behind the name of a section".to_owned());
                continue;
            };
            let name = name.trim();
            is_read = Some(OF_SERVERS.contains(&name));
            of_version =
                VERSIONED.iter().any(|begin| name.strip_prefix(begin).is_some_and(is_version)).then(|| name.to_owned());
            if is_read == Some(false) && of_version.is_none() {
                file.others.insert(name.to_owned());
            }
            continue;
        }
        if line.starts_with('!') {
            refuse("names other files, which are not read: give the one that has the options".to_owned());
            continue;
        }
        // Packages bring such sections, and leave them empty.
        if let Some(name) = of_version.take() {
            refuse(format!(
                "stands in `[{name}]`, for servers of one version; what holds here belongs under `[mysqld]`"
            ));
        }
        match is_read {
            None => refuse("stands before the first section; expected `[mysqld]`".to_owned()),
            Some(false) => {}
            Some(true) => match options::read(line, index + 1) {
                Ok(option) => file.options.push(option),
                Err(problem) => refuse(problem),
            },
        }
    }
    if faults.is_empty() { Ok(file) } else { Err(faults) }
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        read(text.as_bytes()).unwrap().options.into_iter().map(|option| option.name).collect()
    }

    fn fault(text: &str) -> (usize, String) {
        let faults = read(text.as_bytes()).unwrap_err();
        (faults[0].line, faults[0].problem.clone())
    }

    #[test]
    fn sections_of_servers_are_read_and_others_are_named() {
        let text = "# comment\n[client]\nport=3306\n[mysqld]\r\nskip-name-resolve\n max_connections = 500 # many\n\
            [mysqldump]\nquick\n[mariadb]\nexpire-logs-days=3\n; end\n[mysqld_safe]\nnice=0\n[galera]\nwsrep_on=ON\n";
        assert_eq!(names(text), ["skip-name-resolve", "max_connections", "expire-logs-days", "wsrep_on"]);
        let others: Vec<String> = read(text.as_bytes()).unwrap().others.into_iter().collect();
        assert_eq!(others, ["client", "mysqld_safe", "mysqldump"]);
        assert_eq!(read(b"").unwrap(), OptionFile::default());
        assert_eq!(names("[ mysqld ] # ours\na=1\n[mariadb-11.8]\n# none yet\n"), ["a"]);
    }

    #[test]
    fn what_means_something_only_elsewhere_is_refused() {
        for (text, line, why) in [
            ("a=1\n[mysqld]\n", 1, "stands before the first section"),
            ("[mysqld]\n!includedir /etc/mysql/conf.d/\n", 2, "names other files"),
            ("!include /etc/other.cnf\n", 1, "names other files"),
            ("[mysqld]\n[mariadb-10.6]\na=1\n", 3, "for servers of one version"),
            ("[mysqld-8.0]\n# none\na=1\n", 3, "for servers of one version"),
            ("[mysqld\na=1\n", 1, "has no `]`"),
            ("[mysqld]\n= 3\n", 2, "expected `option = value`"),
            ("[mysqld]\na b = 3\n", 2, "expected `option = value`"),
        ] {
            let (at, problem) = fault(text);
            assert!(at == line && problem.contains(why), "{text:?}: {at} {problem}");
        }
        assert!(read(b"[mysqld]\na=\xff\n").is_err() && names("[mariadb-backup]\na=1\n").is_empty());
    }
}
