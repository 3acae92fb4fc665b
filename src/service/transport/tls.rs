//! The TLS side: which certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::{Failure, Options};

/// The client's side of every handshake. Reads the trusted certificates, which takes milliseconds.
pub(super) fn configuration(options: &Options) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Tls(error.to_string()))?;
    if options.unverified {
        let verifier = Arc::new(Anyone(provider.signature_verification_algorithms));
        return Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth());
    }
    Ok(builder.with_root_certificates(roots(options.ca_bundle.as_deref())?).with_no_client_auth())
}

fn roots(bundle: Option<&str>) -> Result<RootCertStore, Failure> {
    let found = match bundle {
        None => rustls_native_certs::load_native_certs(),
        Some(path) => {
            let path = Path::new(path);
            // The same words as Python's, which shows the bare reason.
            let facts = path.metadata().map_err(|error| Failure::Tls(python_words(&error)))?;
            let (file, folder) = if facts.is_dir() { (None, Some(path)) } else { (Some(path), None) };
            rustls_native_certs::load_certs_from_paths(file, folder)
        }
    };
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(Failure::Tls(format!(
            "no trusted certificates {}",
            bundle.map_or_else(|| "on this machine".to_owned(), |path| format!("in {path}"))
        )));
    }
    Ok(store)
}

fn python_words(error: &std::io::Error) -> String {
    let words = error.to_string();
    match (error.raw_os_error(), words.split_once(" (os error")) {
        (Some(code), Some((words, _))) => format!("[Errno {code}] {words}"),
        _ => words,
    }
}

/// A TLS error in OpenSSL's manner as far as the two have words for the same thing.
pub(super) fn words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Why;
    let rustls::Error::InvalidCertificate(why) = error else { return format!("[SSL] {error}") };
    let reason = match why {
        Why::Expired | Why::ExpiredContext { .. } => "certificate has expired".to_owned(),
        Why::NotValidYet | Why::NotValidYetContext { .. } => "certificate is not yet valid".to_owned(),
        Why::UnknownIssuer => "unable to get local issuer certificate".to_owned(),
        Why::NotValidForName | Why::NotValidForNameContext { .. } => {
            "Hostname mismatch, certificate is not valid for this host".to_owned()
        }
        other => other.to_string(),
    };
    format!("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason}")
}

/// Trusts whoever answers, as `--no-verify-ssl` asks; signatures of the handshake are still checked.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
