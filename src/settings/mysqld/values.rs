//! Values of server options that cannot work here, though the options are the user's.

/// Options with a file or a folder, in which a server writes what it likes.
const PATHS: &[&str] = &[
    "general_log_file",
    "innodb_tmpdir",
    "log_slow_query_file",
    "log_slow_slave_statements_file",
    "relay_log",
    "relay_log_index",
    "relay_log_info_file",
    "secure_file_priv",
    "slave_load_tmpdir",
    "slow_query_log_file",
];
/// The folders that a server can write to, beside its data.
const WRITABLE: [&str; 2] = ["/tmp", "/var/lib/mysql"];

/// Why a value of an option that is the user's cannot work here.
pub(super) fn unfit(name: &str, value: &str) -> Option<String> {
    if value.contains("{{") || value.contains("{%") {
        return Some("is a Jinja template, which is not evaluated; write the value".to_owned());
    }
    match name {
        "default_time_zone" if !value.eq_ignore_ascii_case("system") && !is_offset(value) => Some(format!(
            "takes no names such as `{value}`, since the servers have no tables of zones; write an offset from -12:59 to \
             +13:00, or SYSTEM"
        )),
        "thread_handling" if value.eq_ignore_ascii_case("no-threads") => {
            Some("would serve one client at a time".to_owned())
        }
        _ if leads_elsewhere(name, value) => Some(format!(
            "names `{value}`, where the server cannot write; write a name without a folder, which lies beside the data, or one \
             below {}",
            WRITABLE.join(" or ")
        )),
        _ => None,
    }
}

/// Whether an option names a file or a folder of another machine.
pub(super) fn leads_elsewhere(name: &str, value: &str) -> bool {
    PATHS.contains(&name) && is_elsewhere(value)
}

/// Whether a path leads to where the server cannot write.
fn is_elsewhere(path: &str) -> bool {
    let below = |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path.contains("..") || path.contains('\\') || (path.contains('/') && !WRITABLE.iter().any(below))
}

/// An offset as the server takes it: hours with one digit or two.
fn is_offset(text: &str) -> bool {
    let parts = || {
        let (sign, rest) = text.split_at_checked(1)?;
        let (hours, minutes) = rest.split_once(':')?;
        let number = |text: &str| text.parse::<i32>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let fits = rest.len() <= 5 && minutes < 60;
        let sign = match sign {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        fits.then_some(sign * (hours * 60 + minutes))
    };
    parts().is_some_and(|minutes| (-779..=780).contains(&minutes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets() {
        for zone in ["SYSTEM", "+00:00", "-03:30", "+13:00", "-12:59", "+2:00"] {
            assert_eq!(unfit("default_time_zone", zone), None, "{zone}");
        }
        for zone in [
            "Europe/Berlin",
            "UTC",
            "+13:01",
            "+14:00",
            "-13:00",
            "+01:60",
            "",
            "+0100",
            "é",
            "+:00",
            "++1:00",
            "+001:00",
        ] {
            assert!(unfit("default_time_zone", zone).unwrap().contains("write an offset"), "{zone}");
        }
    }

    #[test]
    fn files_lie_where_the_server_can_write() {
        for path in ["slow.log", "/tmp/slow.log", "/var/lib/mysql/slow.log", ""] {
            assert_eq!(unfit("slow_query_log_file", path), None, "{path}");
        }
        for path in [
            "/var/log/mysql/slow.log",
            "../slow.log",
            "/tmp/../etc/slow",
            "logs/slow.log",
            "C:\\slow.log",
            "/tmpx/slow",
        ] {
            assert!(unfit("slow_query_log_file", path).unwrap().contains("where the server cannot write"), "{path}");
        }
    }

    #[test]
    fn templates_are_not_evaluated() {
        assert!(unfit("max_connections", "{{ many }}").is_some() && unfit("init_connect", "SET @a='{}'").is_none());
    }
}
