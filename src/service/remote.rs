//! A call over the network: what botocore's client does between an input and an answer, in its order:
//! region and credentials are looked up, the endpoint is worked out, the input is checked, the request is signed,
//! sent, repeated where that may help, and its answer read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_runtime::auth::sigv4::{self, SigV4AuthScheme};
use aws_runtime::auth::{PayloadSigningOverride, SigV4OperationSigningConfig};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation::{Operation as Call, OperationBuilder};
use aws_smithy_runtime_api::client::auth::AuthSchemeOptionResolverParams;
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{SharedAuthScheme, SharedAuthSchemeOptionResolver};
use aws_smithy_runtime_api::client::identity::SharedIdentityResolver;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::attempt::{Attempts, Retryable};
use super::blob::{self, Encoded, Prepared};
use super::credentials::{CredentialChain, Prompt};
use super::endpoint::{self, Endpoint};
use super::error::{Error, OperationError};
use super::transport::{Transport, TransportError, causes};
use super::{ServiceError, client, wire};
use crate::model::{Operation, Service};
use crate::network::{Network, find};
use crate::settings::{RetryMode, Settings};

/// A service on the network.
pub(super) struct Remote {
    service: &'static Service,
    settings: Settings,
    http: OnceCell<Transport>,
    credentials: CredentialChain,
    ready: OnceCell<CallConfig>,
}

/// Endpoint, retries, timeouts and user agent that all calls of a client share.
struct CallConfig {
    endpoint: Endpoint,
    retry: RetryConfig,
    timeouts: TimeoutConfig,
    validates: bool,
    user_agent: String,
}

/// Refusal passed through the orchestrator.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.code)]
pub(super) struct CarriedServiceError(pub(super) ServiceError);

impl Remote {
    pub(super) fn new(service: &'static Service, settings: Settings, prompt: Option<Prompt>) -> Self {
        let credentials = CredentialChain::new(settings.clone(), prompt);
        Self { service, settings, http: OnceCell::new(), credentials, ready: OnceCell::new() }
    }

    pub(super) async fn call(&self, operation: &'static Operation, mut input: Value) -> Result<Value, Error> {
        let (http, ready) = self.ready().await?;
        if ready.validates {
            client::check(self.service, operation, &input, None)?;
        } else if let Some(shape) = self.service.input(operation) {
            input = wire::unchecked(self.service, shape, input).map_err(|unfit| Error::Transport(unfit.0))?;
        }
        self.exchange(operation, ready, http, Payload::Whole(wire::body(&input).into())).await
    }

    pub(super) async fn call_prepared(&self, call: &Prepared) -> Result<Value, Error> {
        let (http, ready) = self.ready().await?;
        if ready.validates {
            client::check(self.service, call.operation, &call.input, Some(call.member))?;
        }
        let encode = || Arc::new(Encoded::new(&call.input, call.member, call.blob.clone()));
        let body = call.body.clone().unwrap_or_else(encode);
        self.exchange(call.operation, ready, http, Payload::Encoded(body)).await
    }

    async fn ready(&self) -> Result<(&Transport, &CallConfig), Error> {
        let http = self
            .http
            .get_or_try_init(|| async { Network::from_settings(&self.settings).map(Transport::new) })
            .await?;
        let ready = self.ready.get_or_try_init(|| self.prepare(http)).await?;
        Ok((http, ready))
    }

    /// Computes the constant parts of a call, in botocore's order, which decides which error is reported first.
    async fn prepare(&self, http: &Transport) -> Result<CallConfig, Error> {
        let region = match self.settings.region()? {
            None => self.credentials.region_of_instance().await?,
            region => region,
        };
        if !self.settings.globals().no_sign_request {
            self.credentials.locate(http).await?;
        }
        let configured = self.settings.endpoint(self.service.name)?;
        let region = region.ok_or(Error::NoRegion)?;
        let endpoint = endpoint::resolve(self.service, &self.settings, configured, region).await?;
        let log = self.settings.log();
        log.line("service.endpoint", || {
            format!(
                "{} at {}, signed for {:?} in {:?}",
                self.service.name,
                endpoint.url(),
                endpoint.signing_name,
                endpoint.region
            )
        });
        let mode = self.settings.retry_mode()?;
        let retry = match mode {
            RetryMode::Standard => RetryConfig::standard(),
            RetryMode::Adaptive => RetryConfig::adaptive(),
        };
        Ok(CallConfig {
            endpoint,
            retry: retry
                .with_max_attempts(self.settings.max_attempts()?)
                .with_initial_backoff(self.settings.retry_delay()),
            timeouts: endpoint::timeouts(&self.settings)?,
            validates: self.settings.parameter_validation()?,
            user_agent: endpoint::user_agent(&self.settings, mode)?,
        })
    }

    async fn exchange(
        &self,
        operation: &'static Operation,
        ready: &CallConfig,
        http: &Transport,
        body: Payload,
    ) -> Result<Value, Error> {
        let signed = !self.settings.globals().no_sign_request;
        let signer = if signed { Some(self.credentials.credentials(http).await?) } else { None };
        let attempts = Arc::new(AtomicU32::new(0));
        let builder = Call::builder()
            .service_name(self.service.service_id)
            .operation_name(operation.name)
            .http_client(http.client())
            .endpoint_url(&ready.endpoint.origin)
            .standard_retry(&ready.retry)
            .timeout_config(ready.timeouts.clone())
            .retry_classifier(Retryable)
            .sleep_impl(TokioSleep::new())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .interceptor(Attempts::new(Arc::clone(&attempts), ready.retry.max_attempts()));
        let call = self::signed(builder, signer, &ready.endpoint, body.digest())
            .serializer(request(self.service, operation, ready))
            .deserializer(response(self.service, operation))
            .build();
        let outcome = call.invoke(body).await;
        outcome.map_err(|error| told(operation, ready, attempts.load(Ordering::Relaxed), error))
    }
}

fn told(
    operation: &Operation,
    ready: &CallConfig,
    attempts: u32,
    error: SdkError<CarriedServiceError, HttpResponse>,
) -> Error {
    match error {
        SdkError::ServiceError(said) => {
            let CarriedServiceError(refusal) = said.into_err();
            // The marker is set whenever the limit was reached, whether or not a repetition would have helped.
            let retries = (attempts >= ready.retry.max_attempts()).then(|| attempts.saturating_sub(1));
            Error::Refused(Box::new(OperationError {
                operation: operation.name.to_owned(),
                refusal,
                retries,
            }))
        }
        other => match find::<TransportError>(&other) {
            Some(TransportError::Endless(reason)) => Error::Endless(reason.clone()),
            Some(failure) => Error::Transport(endpoint::failure_text(failure, &ready.endpoint.url())),
            None => Error::Transport(causes(&other)),
        },
    }
}

/// A request's body.
#[derive(Debug, Clone)]
enum Payload {
    Whole(Bytes),
    Encoded(Arc<Encoded>),
}

impl Payload {
    /// The body's digest, where it is known already.
    fn digest(&self) -> Option<String> {
        match self {
            Self::Whole(_) => None,
            Self::Encoded(encoded) => Some(encoded.digest().to_owned()),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Encoded(encoded) => encoded.length(),
        }
    }

    fn into_body(self) -> SdkBody {
        match self {
            Self::Whole(bytes) => SdkBody::from(bytes),
            Self::Encoded(encoded) => blob::body(&encoded),
        }
    }
}

fn signed(
    builder: OperationBuilder,
    signer: Option<Credentials>,
    endpoint: &Endpoint,
    digest: Option<String>,
) -> OperationBuilder {
    let Some(credentials) = signer else { return builder.no_auth() };
    let mut layer = Layer::new("signing");
    layer.store_put(AuthSchemeOptionResolverParams::new(()));
    layer.store_put(Region::new(endpoint.region.clone()));
    layer.store_put(SigningRegion::from(Region::new(endpoint.region.clone())));
    layer.store_put(SigningName::from_static(endpoint.signing_name));
    layer.store_put(SigV4OperationSigningConfig::default());
    if let Some(digest) = digest {
        layer.store_put(PayloadSigningOverride::Precomputed(digest));
    }
    let options = StaticAuthSchemeOptionResolver::new(vec![sigv4::SCHEME_ID]);
    let provider = SharedCredentialsProvider::new(credentials);
    let mut components = RuntimeComponentsBuilder::new("signing");
    components.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(options)));
    components.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
    components.set_identity_resolver(sigv4::SCHEME_ID, SharedIdentityResolver::new(provider));
    // The chain keeps credentials and knows when they end.
    components.set_identity_cache(Some(IdentityCache::no_cache()));
    let plugin = StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(components);
    builder.runtime_plugin(plugin)
}

type Serialized = Result<HttpRequest, aws_smithy_runtime_api::box_error::BoxError>;

fn request(
    service: &'static Service,
    operation: &'static Operation,
    ready: &CallConfig,
) -> impl Fn(Payload) -> Serialized + use<> {
    let target = format!("{}.{}", service.target_prefix, operation.name);
    let (path, user_agent) = (ready.endpoint.path.clone(), ready.user_agent.clone());
    move |body| {
        let length = body.length().to_string();
        let mut request = HttpRequest::new(body.into_body());
        request.set_method("POST")?;
        request.set_uri(path.as_str())?;
        let headers = request.headers_mut();
        headers.insert("x-amz-target", target.clone());
        headers.insert("content-type", wire::MEDIA_TYPE);
        headers.insert("content-length", length);
        headers.insert("user-agent", user_agent.clone());
        headers.insert("accept-encoding", "identity");
        Ok(request)
    }
}

fn response(
    service: &'static Service,
    operation: &'static Operation,
) -> impl Fn(&HttpResponse) -> Result<Value, OrchestratorError<CarriedServiceError>> {
    move |response| {
        let body = response.body().bytes().unwrap_or_default();
        let status = response.status().as_u16();
        if status < 300 {
            if let Some(reason) = wire::excess(body) {
                return Err(OrchestratorError::other(TransportError::Endless(reason)));
            }
            return wire::answer(service, service.output(operation), body)
                .map_err(|unfit| OrchestratorError::other(TransportError::Other(unfit.0)));
        }
        if let Some(kind) = wire::no_structure(status, body) {
            let words = format!("'{kind}' object has no attribute 'get'");
            return Err(OrchestratorError::other(TransportError::Other(words)));
        }
        let query_error = response.headers().get("x-amzn-query-error");
        Err(OrchestratorError::operation(CarriedServiceError(wire::refusal(
            service,
            status,
            query_error,
            body,
        ))))
    }
}
