//! Responses of several pages.

use std::error::Error;

use aws_sdk_ec2::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};
use aws_smithy_async::future::pagination_stream::PaginationStream;
use bakehouse_aws::sdk_error::api_error;
use bakehouse_ec2::ApiError;

/// Returns every item of every page.
pub(crate) async fn pages<I, T, E>(
    mut items: PaginationStream<Result<I, SdkError<E, HttpResponse>>>,
    mut read: impl FnMut(I) -> Result<T, ApiError>,
) -> Result<Vec<T>, ApiError>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(read(item.map_err(api_error)?)?);
    }
    Ok(all)
}
