//! Asking `MariaDB` nodes, through a tunnel to their pods. Facts only: what they mean is decided elsewhere.

mod conn;
mod error;
mod greeting;
mod probe;
mod proof;
mod status;
mod ways;

pub use conn::{Conn, Identity, Login, Row, connect};
pub use error::SqlError;
pub use greeting::greeting;
pub use probe::{Probe, Sample};
pub use proof::{prepare_marker, read_marker, remove_marker, write_marker};
pub use status::{GroupMember, Raw, wsrep_status};
pub use ways::{Door, Ways};
