//! The hands on one cluster: what looks at it, and what acts on it, for every step and verb that needs it.

pub mod accounts;
pub mod admission;
pub mod adopt;
pub mod authority;
pub mod certificates;
pub mod content;
pub mod course;
pub mod formation;
pub mod inspect;
pub mod job;
pub mod nodes;
pub mod options;
pub mod proof;
pub mod proxies;
pub mod reader;
pub mod record;
pub mod remove;
pub mod rights;
pub mod rolling;
pub mod software;
pub mod trust;
pub mod validity;
pub mod volumes;
pub mod walls;
pub mod world;
pub mod x509;
