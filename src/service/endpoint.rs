//! Address of a service, and our `User-Agent`.

use aws_smithy_types::timeout::TimeoutConfig;
use hyper::http::Uri;

use super::error::Error;
use super::transport::TransportError;
use crate::model::Service;
use crate::settings::{self, RetryMode, Settings};

/// Destination and signature of requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Scheme and authority.
    pub(super) origin: String,
    /// The path, with a query where the endpoint has one.
    pub(super) path: String,
    /// The region of the signature.
    pub(super) region: String,
    /// The service's name in the signature.
    pub(super) signing_name: &'static str,
}

impl Endpoint {
    /// The URL of every request, as error texts show it.
    pub(super) fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

/// The endpoint that is configured, else the one that the service's rules give for the region.
pub(super) async fn resolve(
    service: &'static Service,
    settings: &Settings,
    configured: Option<String>,
    region: String,
) -> Result<Endpoint, Error> {
    let (region, fips_region) = real_region(&region);
    let url = match configured {
        Some(url) => url,
        // The rules would not take it; botocore's give a host name with a hole in it.
        None if region.is_empty() => format!("https://{}..amazonaws.com", service.endpoint_prefix),
        None => {
            let fips = settings.fips()? || fips_region;
            by_rules(service, &region, fips, settings.dualstack()?).await?
        }
    };
    let invalid = || Error::Settings(settings::Error::InvalidEndpoint(url.clone()));
    let parsed: Uri = url.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
        return Err(invalid());
    };
    if !is_host(authority.host()) {
        return Err(invalid());
    }
    if !matches!(scheme, "http" | "https") {
        let words =
            format!("An HTTP Client raised an unhandled exception: Not supported URL scheme {scheme}");
        return Err(Error::Transport(words));
    }
    let path = parsed.path_and_query().map_or("/", |path| path.as_str());
    Ok(Endpoint {
        origin: format!("{scheme}://{authority}"),
        path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        region,
        signing_name: service.signing_name,
    })
}

/// Returns whether botocore takes a text for a host: an IPv6 address, or labels of letters, digits and inner hyphens.
/// An empty region leaves an empty label.
fn is_host(host: &str) -> bool {
    if host.starts_with('[') {
        return true;
    }
    let is_label = |label: &str| {
        let permitted = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        permitted && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    host.len() <= 255 && host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// `fips-us-east-1` and `us-east-1-fips` are old names for a region with FIPS endpoints.
fn real_region(region: &str) -> (String, bool) {
    if region.starts_with("fips-") || region.ends_with("-fips") {
        (region.replace("fips-", "").replace("-fips", ""), true)
    } else {
        (region.to_owned(), false)
    }
}

/// The two crates' rules have types of their own with the same names.
macro_rules! endpoint_by_rules {
    ($rules:path, $region:expr, $fips:expr, $dualstack:expr) => {{
        use $rules::{DefaultResolver, Params, ResolveEndpoint};
        let parameters = Params::builder().region($region).use_fips($fips).use_dual_stack($dualstack).build();
        let parameters = parameters.map_err(|error| Error::Transport(error.to_string()))?;
        DefaultResolver::new().resolve_endpoint(&parameters).await
    }};
}

/// The beginnings of the regions whose partitions have no dual-stack endpoints. Two older isolated partitions have
/// none either, but botocore asks its rules for those.
const WITHOUT_DUALSTACK: [&str; 2] = ["eu-isoe-", "us-isof-"];

async fn by_rules(service: &Service, region: &str, fips: bool, dualstack: bool) -> Result<String, Error> {
    if dualstack && WITHOUT_DUALSTACK.iter().any(|beginning| region.starts_with(beginning)) {
        let tags = if fips { "['dualstack', 'fips']" } else { "['dualstack']" };
        let words = format!("Unable to construct a modeled endpoint with the following variant(s) {tags}: ");
        return Err(Error::Transport(words));
    }
    let endpoint = if service.name == "ecr-public" {
        endpoint_by_rules!(aws_sdk_ecrpublic::config::endpoint, region, fips, dualstack)
    } else {
        endpoint_by_rules!(aws_sdk_ecr::config::endpoint, region, fips, dualstack)
    };
    endpoint.map(|endpoint| endpoint.url().to_owned()).map_err(|error| Error::Transport(error.to_string()))
}

/// Returns the message for a request that got no answer.
pub(super) fn failure_text(failure: &TransportError, url: &str) -> String {
    match failure {
        TransportError::Connect => format!(r#"Could not connect to the endpoint URL: "{url}""#),
        TransportError::ConnectTimeout => format!(r#"Connect timeout on endpoint URL: "{url}""#),
        TransportError::ReadTimeout => format!(r#"Read timeout on endpoint URL: "{url}""#),
        TransportError::Closed => {
            format!(
                r#"Connection was closed before we received a valid response from endpoint URL: "{url}"."#
            )
        }
        TransportError::Tls(reason) => format!("SSL validation failed for {url} {reason}"),
        TransportError::Proxy(proxy) => format!(r#"Failed to connect to proxy URL: "{proxy}""#),
        TransportError::Endless(reason) | TransportError::Other(reason) => reason.clone(),
    }
}

/// Returns the time limits of every request.
pub(super) fn timeouts(settings: &Settings) -> Result<TimeoutConfig, Error> {
    let mut timeouts = TimeoutConfig::builder();
    timeouts.set_connect_timeout(settings.connect_timeout()?);
    timeouts.set_read_timeout(settings.read_timeout()?);
    Ok(timeouts.build())
}

/// The user agent, in the form that AWS SDKs share.
pub(super) fn user_agent(settings: &Settings, mode: RetryMode) -> Result<String, Error> {
    let mode = match mode {
        RetryMode::Standard => "standard",
        RetryMode::Adaptive => "adaptive",
    };
    let mut text = format!(
        "ecr/{} ua/2.1 os/{} md/arch#{} lang/rust cfg/retry-mode#{mode}",
        env!("CARGO_PKG_VERSION"),
        settings::OPERATING_SYSTEM,
        settings::ARCHITECTURE,
    );
    if let Some(environment) = settings.filled_variable("AWS_EXECUTION_ENV") {
        text.push_str(" exec-env/");
        text.push_str(&token(&environment));
    }
    if let Some(application) = settings.application()?.filter(|name| !name.is_empty()) {
        text.push_str(" app/");
        text.push_str(&token(&application));
    }
    Ok(text)
}

/// Replaces characters that a user agent's part must not have by hyphens.
fn token(text: &str) -> String {
    let permitted = |c: char| c.is_ascii_alphanumeric() || "!$%&'*+-.^_`|~,#".contains(c);
    text.chars().map(|c| if permitted(c) { c } else { '-' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model;

    /// Recorded from AWS CLI 2.38.1.
    #[tokio::test]
    async fn partitions_without_dual_stack_refuse_it() {
        let words = "Unable to construct a modeled endpoint with the following variant(s) ";
        for (region, fips, tags) in [
            ("us-isof-south-1", false, "['dualstack']: "),
            ("eu-isoe-west-1", true, "['dualstack', 'fips']: "),
        ] {
            let refused = by_rules(model::ecr(), region, fips, true).await.unwrap_err();
            assert_eq!(refused.to_string(), format!("{words}{tags}"));
            assert!(by_rules(model::ecr(), region, fips, false).await.is_ok());
        }
        assert!(by_rules(model::ecr(), "us-iso-east-1", false, true).await.is_ok());
    }
}
