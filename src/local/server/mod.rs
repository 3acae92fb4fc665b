//! The embedded ECR over HTTP.
