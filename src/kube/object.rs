//! Where an object lives in the API.

use kube::Client;
use kube::api::{Api, DynamicObject};

use crate::manifests::Object;

/// The API endpoint of objects of this kind in this object's namespace.
pub(super) fn api(object: &Object, client: &Client) -> Api<DynamicObject> {
    match &object.namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &object.resource),
        None => Api::all_with(client.clone(), &object.resource),
    }
}
