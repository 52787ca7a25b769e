//! Finding a stack by its name.

use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future},
};
use aws_sdk_ssm::{Client, types::ParameterType};
use bakehouse_controller_aws::stack::config::{self, ConfigError};

use crate::stack;

async fn put(stack: &stack::Stack, text: &str) {
    let put = Client::new(&stack.sdk).put_parameter().name("/bakehouse/bakehouse").value(text);
    put.r#type(ParameterType::String).send().await.unwrap();
}

#[tokio::test]
async fn a_stack_is_found_by_its_name() {
    let Some(stack) = stack::bare("a_stack_is_found_by_its_name") else { return };
    put(&stack, &serde_json::to_string(&stack.config).unwrap()).await;
    assert_eq!(config::from_parameter(&stack.sdk, "bakehouse").await.unwrap(), stack.config);
}

#[tokio::test]
async fn a_missing_stack_is_reported_with_its_region() {
    let Some(stack) = stack::bare("a_missing_stack_is_reported_with_its_region") else { return };
    let error = config::from_parameter(&stack.sdk, "bakehouse").await.unwrap_err();
    assert_eq!(error.to_string(), "there is no stack \"bakehouse\" in us-east-1");
    assert!(matches!(error, ConfigError::NoStack { .. }));
}

#[tokio::test]
async fn a_parameter_of_another_kind_is_an_error() {
    let Some(stack) = stack::bare("a_parameter_of_another_kind_is_an_error") else { return };
    put(&stack, "hello").await;
    let error = config::from_parameter(&stack.sdk, "bakehouse").await.unwrap_err();
    assert_eq!(error.to_string(), "can't read the configuration in the parameter /bakehouse/bakehouse");
}

/// A place without credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(Err::<Credentials, _>(CredentialsError::not_loaded("no profile, no role")))
    }
}

#[tokio::test]
async fn missing_credentials_are_reported_as_such() {
    let Some(stack) = stack::bare("missing_credentials_are_reported_as_such") else { return };
    let sdk = stack.sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(Nobody)).build();
    let error = config::from_parameter(&sdk, "bakehouse").await.unwrap_err();
    assert_eq!(error.to_string(), "can't read the parameter /bakehouse/bakehouse of the stack");
    let ConfigError::Unread { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.code, "NoCredentials");
    assert!(source.to_string().contains("no profile, no role"), "{source}");
    assert!(error.hint().unwrap().starts_with("set AWS_ACCESS_KEY_ID"));
}
