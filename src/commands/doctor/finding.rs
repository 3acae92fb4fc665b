//! Findings of `ecr doctor`: a stable identifier each, which docs/doctor.md explains.

/// Status of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Works.
    Ok,
    /// Works now, or for some programs only.
    Warn,
    /// Does not work.
    Fail,
    /// Unknown.
    Unknown,
}

impl Status {
    /// Returns the name in JSON and text.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

macro_rules! findings {
    ($($name:ident $status:ident $id:literal)*) => {
        /// A finding.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(missing_docs, reason = "docs/doctor.md explains each")]
        pub enum Finding { $($name),* }

        impl Finding {
            /// All of them, in the order in which they are looked for.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its identifier, which never changes.
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// Returns the status that findings of this kind have.
            pub fn status(self) -> Status {
                match self { $(Self::$name => Status::$status),* }
            }
        }
    };
}

findings! {
    Version Ok "version"
    HomeMissing Warn "home-missing"
    HomeSudo Warn "home-sudo"
    HomeOwner Warn "home-owner"
    ConfigurationInvalid Fail "configuration-invalid"
    Profile Ok "profile"
    ProfileMissing Fail "profile-missing"
    Credentials Ok "credentials"
    CredentialsShadowed Warn "credentials-shadowed"
    CredentialsMissing Fail "credentials-missing"
    CredentialsInvalid Fail "credentials-invalid"
    Identity Ok "identity"
    IdentityRefused Fail "identity-refused"
    IdentityExpired Fail "identity-expired"
    IdentityUnknown Unknown "identity-unknown"
    IdentityOtherAccount Warn "identity-other-account"
    Region Ok "region"
    RegionMissing Fail "region-missing"
    RegionDiffers Warn "region-differs"
    Endpoint Ok "endpoint"
    EndpointOverridden Warn "endpoint-overridden"
    EndpointInvalid Fail "endpoint-invalid"
    Dns Ok "dns"
    DnsFailed Fail "dns-failed"
    Proxy Ok "proxy"
    ProxyNoBypass Warn "proxy-no-bypass"
    ProxyFailed Fail "proxy-failed"
    Connection Ok "connection"
    ConnectionFailed Fail "connection-failed"
    TlsFailed Fail "tls-failed"
    TlsUnverified Warn "tls-unverified"
    Clock Ok "clock"
    ClockDrift Warn "clock-drift"
    ClockSkew Fail "clock-skew"
    DockerFile Ok "docker-file"
    DockerFileUnreadable Fail "docker-file-unreadable"
    DockerFileReadable Warn "docker-file-readable"
    DockerFileElsewhere Warn "docker-file-elsewhere"
    DockerFileMember Warn "docker-file-member"
    DockerConfigVariable Fail "docker-config-variable"
    DockerAuthConfig Warn "docker-auth-config"
    DockerLogin Ok "docker-login"
    DockerLoginMissing Warn "docker-login-missing"
    DockerLoginsTwice Warn "docker-logins-twice"
    DockerAuthsShadowed Warn "docker-auths-shadowed"
    DockerHelper Ok "docker-helper"
    DockerHelperKey Fail "docker-helper-key"
    DockerHelperMissing Fail "docker-helper-missing"
    DockerHelperWindows Fail "docker-helper-windows"
    DockerHelperFailed Fail "docker-helper-failed"
    DockerHelperSilent Fail "docker-helper-silent"
    DockerStoreEmpty Warn "docker-store-empty"
    DockerStoreWins Warn "docker-store-wins"
    DockerStoreIsEcr Warn "docker-store-is-ecr"
    PodmanLogin Ok "podman-login"
    PodmanFileUnreadable Fail "podman-file-unreadable"
    PodmanOtherFile Warn "podman-other-file"
    PodmanNoStore Warn "podman-no-store"
    PodmanLoginMissing Warn "podman-login-missing"
    HelmLogin Ok "helm-login"
    HelmFileUnreadable Fail "helm-file-unreadable"
    HelmOtherFile Warn "helm-other-file"
    Token Ok "token"
    TokenExpired Fail "token-expired"
    TokenDamaged Fail "token-damaged"
    TokenUser Fail "token-user"
    LoginRules Fail "login-conf-invalid"
    Cache Ok "cache"
    CacheUnsafe Warn "cache-unsafe"
    Authorization Ok "authorization"
    AuthorizationDenied Fail "authorization-denied"
    Repository Ok "repository"
    RepositoryMissing Fail "repository-missing"
    RepositoryDenied Warn "repository-denied"
    Image Ok "image"
    ImageMissing Fail "image-missing"
    ImageArchived Fail "image-archived"
    ImageDenied Warn "image-denied"
    Manifest Ok "manifest"
    ManifestDenied Fail "manifest-denied"
    PlatformMissing Warn "platform-missing"
    Layer Ok "layer"
    LayerDenied Fail "layer-denied"
    LayerUnreachable Fail "layer-unreachable"
    PushLayers Ok "push-layers"
    PushLayersDenied Fail "push-layers-denied"
    PushUpload Ok "push-upload"
    PushUploadDenied Fail "push-upload-denied"
    Scanning Ok "scanning"
    ScanningDenied Warn "scanning-denied"
    InspectorDenied Warn "inspector-denied"
    PullTime Ok "pull-time"
    PullTimeDenied Warn "pull-time-denied"
    CallFailed Unknown "call-failed"
}
