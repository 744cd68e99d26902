//! What HAProxy's own statistics say of its backends.

use serde::Serialize;

use crate::names::Member;

/// One server of the port for writing, as one proxy sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backend {
    /// The node it stands for.
    pub member: Member,
    /// Whether the proxy would use it.
    pub up: bool,
    /// Result of the last check, such as `L7OK/200`.
    pub check: String,
    /// Address and port it would connect to.
    pub address: String,
}

impl Backend {
    /// Whether the proxy uses it because it has looked: one that has just started takes every server for up, and may
    /// still find the first check unanswered.
    #[must_use]
    pub fn is_found_up(&self) -> bool {
        // A check that runs is marked before the result of the last one: `* L7OK`.
        self.up && (self.check.is_empty() || self.check.trim_start_matches("* ").starts_with("L7OK"))
    }
}

/// Reads HAProxy's statistics page in CSV form.
///
/// # Errors
/// The column that is missing.
pub fn parse(csv: &str) -> Result<Vec<Backend>, String> {
    let mut lines = csv.lines();
    let header = lines.next().unwrap_or_default().trim_start_matches("# ");
    let columns: Vec<&str> = header.split(',').collect();
    let column = |name: &str| {
        columns
            .iter()
            .position(|column| *column == name)
            .ok_or_else(|| format!("the proxy's statistics have no column `{name}`"))
    };
    let (proxy, server, status) = (column("pxname")?, column("svname")?, column("status")?);
    let (check, code, address) = (column("check_status")?, column("check_code")?, column("addr")?);
    let rows = lines.map(|line| line.split(',').collect::<Vec<_>>());
    Ok(rows
        .filter(|row| row.get(proxy) == Some(&"write"))
        .filter_map(|row| {
            let field = |index: usize| row.get(index).copied().unwrap_or_default();
            Some(Backend {
                member: field(server).parse().ok()?,
                // `UP`, or `UP 1/2` while it is on its way down; without a check it is always used.
                up: field(status).starts_with("UP") || field(status) == "no check",
                check: format!("{} {}", field(check), field(code)).trim().to_owned(),
                address: field(address).to_owned(),
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_not_looked_at_yet_is_not_found_up() {
        let found = |status: &str, check: &str| {
            let csv =
                format!("# pxname,svname,status,check_status,check_code,addr,\nwrite,node1,{status},{check},,a:1,\n");
            parse(&csv).unwrap()[0].is_found_up()
        };
        assert!(found("UP", "L7OK") && found("UP", "* L7OK") && found("UP 1/2", "L7OK") && found("no check", ""));
        assert!(!found("UP", "INI") && !found("UP", "* INI") && !found("UP 1/2", "L4TOUT") && !found("DOWN", "L7OK"));
    }

    #[test]
    fn reads_servers_and_skips_sums() {
        let csv = "# pxname,svname,status,check_status,check_code,addr,\n\
                   write,FRONTEND,OPEN,,,,\nwrite,node1,UP,L7OK,200,10.244.0.7:3306,\n\
                   write,node2,DOWN,L4CON,,10.244.0.8:3306,\nwrite,BACKEND,UP,,,,\nread,node1,UP,,,10.244.0.7:3306,\n";
        let backends = parse(csv).unwrap();
        assert_eq!(backends.len(), 2);
        assert_eq!((backends[0].up, backends[0].check.as_str()), (true, "L7OK 200"));
        assert_eq!((backends[1].up, backends[1].member), (false, Member::Node(2)));
        let unchecked =
            parse("# pxname,svname,status,check_status,check_code,addr,\nwrite,node1,no check,,,10.0.0.7:3306,\n");
        assert!(unchecked.unwrap()[0].up);
        assert!(parse("<html>").unwrap_err().contains("pxname"));
    }
}
