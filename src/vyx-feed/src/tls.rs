//! The one TLS configuration of the crate.

use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;

/// Mozilla's roots and ring, both named here: rustls panics when it has to guess a provider, as when another
/// dependency brings a second one, and the machine's certificate store may be missing.
pub fn config() -> Arc<ClientConfig> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}
