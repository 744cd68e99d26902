//! Address ranges such as `10.1.0.0/16`.

use std::net::IpAddr;

/// Reads a range, or a single address as the range that holds only it; writes it as Kubernetes wants it.
///
/// # Errors
/// What would be right.
pub fn range(text: &str) -> Result<String, String> {
    let shown = text.escape_debug();
    let no_range = || format!("`{shown}` is no address range; expected one such as `10.1.0.0/16` or `10.1.2.3`");
    let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().map_err(|_| no_range())?;
    let (bits, value) = match address {
        IpAddr::V4(address) => (32, u128::from(address.to_bits())),
        IpAddr::V6(address) => (128, address.to_bits()),
    };
    let length: u32 = match length {
        None => bits,
        Some(text) => text.parse().ok().filter(|length| *length <= bits).ok_or_else(no_range)?,
    };
    let kept = if length == 0 { 0 } else { value >> (bits - length) << (bits - length) };
    if kept != value {
        let first = match address {
            IpAddr::V4(_) => IpAddr::from(u32::try_from(kept).unwrap_or_default().to_be_bytes()),
            IpAddr::V6(_) => IpAddr::from(kept.to_be_bytes()),
        };
        return Err(format!("`{shown}` is not the start of its range; did you mean `{first}/{length}`?"));
    }
    Ok(format!("{address}/{length}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_and_addresses() {
        assert_eq!(range("10.1.0.0/16").unwrap(), "10.1.0.0/16");
        assert_eq!(range("10.1.2.3").unwrap(), "10.1.2.3/32");
        assert_eq!(range("0.0.0.0/0").unwrap(), "0.0.0.0/0");
        assert_eq!(range("2001:db8::/32").unwrap(), "2001:db8::/32");
        assert_eq!(
            range("10.1.2.3/16").unwrap_err(),
            "`10.1.2.3/16` is not the start of its range; did you mean `10.1.0.0/16`?"
        );
        for wrong in ["", "10.1.0.0/33", "10.1/16", "host", "10.1.0.0/", "10.1.0.0/-1"] {
            assert!(range(wrong).unwrap_err().contains("is no address range"), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_answered_is_accepted(text in "[0-9a-f:./]{0,20}") {
            if let Ok(answer) = range(&text) {
                prop_assert_eq!(range(&answer), Ok(answer.clone()));
            }
        }
    }
}
