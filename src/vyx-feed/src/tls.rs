//! The one TLS configuration of the crate.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// Roots and ring are both named here: rustls panics when it has to guess a provider, as when another dependency brings a
/// second one.
pub fn config(roots: RootCertStore) -> Arc<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
