//! Steps: each looks, acts and waits for its gates; run again after any interruption, it arrives at the same end. A step
//! takes what those before it have found out, and none calls another.

pub mod apply;
pub mod backup;
pub mod certificates;
pub mod credentials;
pub mod expose;
pub mod grow;
pub mod hold;
pub mod live;
pub mod purge;
pub mod recover;
pub mod restore;
pub mod rolling;
pub mod scale;
pub mod teardown;
pub mod up;
pub mod upgrade;
