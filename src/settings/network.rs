//! Network settings: endpoints, timeouts and retries.

use std::time::Duration;

use super::Settings;
use super::error::Error;
use super::files::Entry;

/// Retry mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryMode {
    /// Exponential delays.
    Standard,
    /// Exponential delays and a rate that adapts to throttling.
    Adaptive,
}

/// Proxies by scheme of the request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxies {
    /// For `http://` requests.
    pub http: Option<String>,
    /// For `https://` requests.
    pub https: Option<String>,
    /// Hosts that are reached directly.
    pub except: Option<String>,
}

impl Settings {
    /// The region, as it was given. `None` leaves the instance metadata service to be asked.
    pub fn region(&self) -> Result<Option<String>, Error> {
        let region = match self.given_region() {
            Some(region) => Some(region),
            None => self.profile_key("region")?.map(str::to_owned),
        };
        match region {
            Some(name) if !is_host_label(&name) => Err(Error::InvalidRegion(name)),
            region => Ok(region),
        }
    }

    fn given_region(&self) -> Option<String> {
        // An empty option is a region too: AWS CLI signs for it (observed).
        let option = self.globals.region.clone();
        option.or_else(|| self.variable("AWS_REGION")).or_else(|| self.variable("AWS_DEFAULT_REGION"))
    }

    /// The endpoint that is configured for a service; `None` leaves it to the service's rules.
    ///
    /// `service` is the name on the command line, such as `ecr-public`.
    pub fn endpoint(&self, service: &str) -> Result<Option<String>, Error> {
        match &self.globals.endpoint_url {
            Some(url) => Ok(Some(url.clone())),
            None => self.configured_endpoint(service),
        }
    }

    /// Returns the endpoint that environment and profile have for a service, without the option, which is for the
    /// service of the command, not for the providers of credentials.
    pub fn configured_endpoint(&self, service: &str) -> Result<Option<String>, Error> {
        if self.switch("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")? {
            return Ok(None);
        }
        let identifier = service.replace('-', "_");
        let own = format!("AWS_ENDPOINT_URL_{}", identifier.to_uppercase());
        let given = self.filled_variable(&own).or_else(|| self.filled_variable("AWS_ENDPOINT_URL"));
        if given.is_some() {
            return Ok(given);
        }
        let configured = match self.services_endpoint(&identifier)? {
            Some(url) => Some(url),
            None => self.profile_key("endpoint_url")?,
        };
        Ok(configured.filter(|url| !url.is_empty()).map(str::to_owned))
    }

    fn services_endpoint(&self, identifier: &str) -> Result<Option<&str>, Error> {
        let Some(name) = self.profile_key("services")? else { return Ok(None) };
        let section = self.files()?.services.get(name).filter(|section| !section.is_empty());
        let section = section.ok_or_else(|| Error::MissingServicesSection(name.to_owned()))?;
        Ok(match section.get(identifier) {
            Some(Entry::Block(keys)) => {
                keys.get("endpoint_url").map(String::as_str).filter(|url| !url.is_empty())
            }
            _ => None,
        })
    }

    /// `--endpoint-url` names a scheme.
    pub fn check_endpoint_option(&self) -> Result<(), Error> {
        match &self.globals.endpoint_url {
            Some(url) if !has_scheme(url) => Err(Error::EndpointWithoutScheme(url.clone())),
            _ => Ok(()),
        }
    }

    /// Returns whether FIPS endpoints are asked for.
    pub fn fips(&self) -> Result<bool, Error> {
        self.switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")
    }

    /// Returns whether dual-stack endpoints are asked for.
    pub fn dualstack(&self) -> Result<bool, Error> {
        self.switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")
    }

    /// Returns whether input is checked before it is sent.
    pub fn parameter_validation(&self) -> Result<bool, Error> {
        Ok(self.profile_key("parameter_validation")?.is_none_or(|value| value.eq_ignore_ascii_case("true")))
    }

    /// Returns the retry mode.
    pub fn retry_mode(&self) -> Result<RetryMode, Error> {
        let mode = match self.variable("AWS_RETRY_MODE") {
            Some(mode) => mode,
            None => self.profile_key("retry_mode")?.unwrap_or("standard").to_owned(),
        };
        match mode.as_str() {
            "standard" => Ok(RetryMode::Standard),
            "adaptive" => Ok(RetryMode::Adaptive),
            _ => Err(Error::UnknownRetryMode(mode)),
        }
    }

    /// Returns the limit of attempts of a request.
    pub fn max_attempts(&self) -> Result<u32, Error> {
        Ok(self.configured_attempts()?.unwrap_or(3))
    }

    /// Returns the configured limit of attempts of a request.
    pub fn configured_attempts(&self) -> Result<Option<u32>, Error> {
        let text = match self.variable("AWS_MAX_ATTEMPTS") {
            Some(text) => Some(text),
            None => self.profile_key("max_attempts")?.map(str::to_owned),
        };
        let Some(text) = text else { return Ok(None) };
        match integer(&text)? {
            attempts @ ..=0 => Err(Error::TooFewAttempts(attempts)),
            attempts => Ok(Some(u32::try_from(attempts).unwrap_or(u32::MAX))),
        }
    }

    /// Returns the time limit of connecting; `None` is without limit.
    pub fn connect_timeout(&self) -> Result<Option<Duration>, Error> {
        timeout("connect", self.globals.connect_timeout)
    }

    /// Returns the time limit of waiting for the next byte of an answer; `None` is without limit.
    pub fn read_timeout(&self) -> Result<Option<Duration>, Error> {
        timeout("read", self.globals.read_timeout)
    }

    /// The file or folder of certificates to trust instead of the platform's.
    pub fn ca_bundle(&self) -> Result<Option<String>, Error> {
        let bundle = match self.globals.ca_bundle.clone().or_else(|| self.variable("AWS_CA_BUNDLE")) {
            Some(bundle) => Some(bundle),
            None => match self.profile_key("ca_bundle")? {
                Some(bundle) => Some(bundle.to_owned()),
                None => self.variable("REQUESTS_CA_BUNDLE"),
            },
        };
        match bundle {
            Some(bundle) if bundle.trim().is_empty() => Err(Error::EmptyCaBundle),
            bundle => Ok(bundle),
        }
    }

    /// The proxies. The lower-case name of a variable wins; an empty one means none.
    pub fn proxies(&self) -> Proxies {
        let either = |name: &str| {
            let value = self.variable(&name.to_lowercase()).or_else(|| self.variable(name));
            value.filter(|value| !value.is_empty())
        };
        // In a CGI program HTTP_PROXY may come from a request's header (CVE-2016-5385).
        let http = if self.variable("REQUEST_METHOD").is_some() {
            self.filled_variable("http_proxy")
        } else {
            either("HTTP_PROXY")
        };
        Proxies { http, https: either("HTTPS_PROXY"), except: either("NO_PROXY") }
    }

    /// Returns whether the instance metadata service must not be asked.
    pub fn instance_metadata_disabled(&self) -> bool {
        self.variable("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns whether the instance metadata service is only asked with a token.
    pub fn instance_metadata_v1_disabled(&self) -> Result<bool, Error> {
        self.switch("AWS_EC2_METADATA_V1_DISABLED", "ec2_metadata_v1_disabled")
    }

    /// Returns the time limit of one request to the instance metadata service.
    pub fn instance_metadata_timeout(&self) -> Result<Duration, Error> {
        let seconds = self.number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", 1)?;
        Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(1)))
    }

    /// Returns the limit of attempts to reach the instance metadata service.
    pub fn instance_metadata_attempts(&self) -> Result<u32, Error> {
        let attempts =
            self.number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts", 1)?;
        Ok(u32::try_from(attempts).unwrap_or(1).max(1))
    }

    /// Returns the address of the instance metadata service.
    pub fn instance_metadata_endpoint(&self) -> Result<String, Error> {
        const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
        const MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
        let configured = match self.filled_variable(ENDPOINT) {
            Some(url) => Some(url),
            None => self.profile_key("ec2_metadata_service_endpoint")?.map(str::to_owned),
        };
        if let Some(url) = configured.filter(|url| !url.is_empty()) {
            return Ok(url);
        }
        let mode = match self.filled_variable(MODE) {
            Some(mode) => Some(mode),
            None => self.profile_key("ec2_metadata_service_endpoint_mode")?.map(str::to_owned),
        };
        let ipv6 = mode.is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
        Ok(if ipv6 { "http://[fd00:ec2::254]" } else { "http://169.254.169.254" }.to_owned())
    }

    /// Returns twice the average wait before the first repetition; `AWS_NEW_RETRIES_2026` asks for the shorter one.
    pub fn retry_delay(&self) -> Duration {
        let shorter =
            self.variable("AWS_NEW_RETRIES_2026").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if shorter { Duration::from_millis(50) } else { Duration::from_secs(1) }
    }

    /// The application's name for the user agent.
    pub fn application(&self) -> Result<Option<String>, Error> {
        match self.variable("AWS_SDK_UA_APP_ID") {
            Some(name) => Ok(Some(name)),
            None => Ok(self.profile_key("sdk_ua_app_id")?.map(str::to_owned)),
        }
    }

    fn switch(&self, variable: &str, key: &str) -> Result<bool, Error> {
        let is_true = |value: &str| value.eq_ignore_ascii_case("true");
        match self.variable(variable) {
            Some(value) => Ok(is_true(&value)),
            None => Ok(self.profile_key(key)?.is_some_and(is_true)),
        }
    }

    fn number(&self, variable: &str, key: &str, default: i64) -> Result<i64, Error> {
        match self.variable(variable) {
            Some(value) => integer(&value),
            None => self.profile_key(key)?.map_or(Ok(default), integer),
        }
    }
}

/// Python's `int`: blanks around, a sign, underscores between digits.
fn integer(text: &str) -> Result<i64, Error> {
    let trimmed = text.trim();
    let digits = trimmed.strip_prefix(['+', '-']).unwrap_or(trimmed);
    let well_formed =
        digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    let number = trimmed.replace('_', "").parse().ok().filter(|_| well_formed);
    number.ok_or_else(|| Error::NotAnInteger(text.to_owned()))
}

fn timeout(name: &'static str, seconds: Option<i64>) -> Result<Option<Duration>, Error> {
    match seconds.unwrap_or(60) {
        0 => Ok(None),
        seconds => match u64::try_from(seconds) {
            Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
            Err(_) => Err(Error::InvalidTimeout { name, seconds }),
        },
    }
}

/// Returns whether the AWS CLI accepts a text as a region: a label of a host name that is not all digits, or nothing at
/// all.
fn is_host_label(name: &str) -> bool {
    let permitted = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let all_digits = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    permitted && !all_digits && name.len() <= 63 && !name.starts_with('-') && !name.ends_with('-')
}

/// Returns whether Python's `urlparse` finds a scheme.
fn has_scheme(url: &str) -> bool {
    let Some((scheme, _)) = url.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}
