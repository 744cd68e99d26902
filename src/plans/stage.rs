//! What a step makes, removes, or has for a while. A dry run shows it, and the step takes its objects from where it came.

use crate::manifests::Object;

/// What becomes of objects in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They are made, or put right.
    Made,
    /// They are made, and removed before the step is over.
    Passing,
    /// They are removed, where they exist.
    Removed,
}

/// Objects that a step treats alike; a step can have several such stages.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Identifier of the step.
    pub step: &'static str,
    /// What becomes of the objects.
    pub fate: Fate,
    /// The objects, in the order in which they are met.
    pub objects: Vec<Object>,
}

impl Stage {
    /// Objects that a step makes, or puts right.
    #[must_use]
    pub fn makes(step: &'static str, objects: Vec<Object>) -> Self {
        Self { step, fate: Fate::Made, objects }
    }

    /// Objects that a step makes and removes again, such as Jobs.
    #[must_use]
    pub fn passes(step: &'static str, objects: Vec<Object>) -> Self {
        Self { step, fate: Fate::Passing, objects }
    }

    /// Objects that a step removes by kind and name, where they exist.
    #[must_use]
    pub fn removes(step: &'static str, objects: Vec<Object>) -> Self {
        Self { step, fate: Fate::Removed, objects }
    }
}
