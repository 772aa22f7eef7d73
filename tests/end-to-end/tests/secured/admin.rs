//! What an administrator of Kafka does, as requests: the tests break settings with it, and carry out the commands that
//! the doctor names.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use end_to_end::requests::{Connection, text};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{
    CreateAclsRequest, DeleteAclsRequest, IncrementalAlterConfigsRequest, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use tidewright_log::Admin;

use crate::kafka::{ADMIN, PASSWORD, as_user};

const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const LITERAL: i8 = 3;
const ALLOW: i8 = 3;
const SET: i8 = 0;

/// A connection of the administrator's.
pub struct Administrator {
    connection: Connection,
    brokers: String,
}

impl Administrator {
    pub async fn connect(brokers: &str) -> Result<Self> {
        let mut connection = Connection::to(brokers).await?;
        let handshake = SaslHandshakeRequest::default().with_mechanism(text("PLAIN"));
        ensure!(connection.call(&handshake, 1).await?.error_code == 0, "PLAIN is refused");
        let credentials = Bytes::from(format!("\0{ADMIN}\0{PASSWORD}"));
        let authenticate = SaslAuthenticateRequest::default().with_auth_bytes(credentials);
        ensure!(connection.call(&authenticate, 1).await?.error_code == 0, "the administrator is refused");
        Ok(Self { connection, brokers: brokers.to_owned() })
    }

    pub async fn set_topic(&mut self, topic: &str, setting: &str, value: &str) -> Result<()> {
        let config = AlterableConfig::default()
            .with_name(text(setting))
            .with_config_operation(SET)
            .with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC)
            .with_resource_name(text(topic))
            .with_configs(vec![config]);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        let answer = self.connection.call(&request, 1).await?;
        ensure!(answer.responses.iter().all(|each| each.error_code == 0), "{answer:?}");
        Ok(())
    }

    pub async fn allow(&mut self, principal: &str, operation: &str, kind: &str, name: &str) -> Result<()> {
        let acl = AclCreation::default()
            .with_resource_type(resource_type(kind)?)
            .with_resource_name(text(name))
            .with_resource_pattern_type(LITERAL)
            .with_principal(text(principal))
            .with_host(text("*"))
            .with_operation(operation_code(operation)?)
            .with_permission_type(ALLOW);
        let answer = self.connection.call(&CreateAclsRequest::default().with_creations(vec![acl]), 2).await?;
        ensure!(answer.results.iter().all(|each| each.error_code == 0), "{answer:?}");
        Ok(())
    }

    pub async fn forbid(&mut self, principal: &str, operation: &str, kind: &str, name: &str) -> Result<()> {
        let filter = DeleteAclsFilter::default()
            .with_resource_type_filter(resource_type(kind)?)
            .with_resource_name_filter(Some(text(name)))
            .with_pattern_type_filter(LITERAL)
            .with_principal_filter(Some(text(principal)))
            .with_host_filter(Some(text("*")))
            .with_operation(operation_code(operation)?)
            .with_permission_type(ALLOW);
        let answer = self.connection.call(&DeleteAclsRequest::default().with_filters(vec![filter]), 2).await?;
        let deleted: usize = answer.filter_results.iter().map(|each| each.matching_acls.len()).sum();
        ensure!(deleted == 1, "{principal} had no {operation} on {kind} {name}");
        Ok(())
    }

    /// Does what one of Kafka's own tools would do when it is called so.
    pub async fn carry_out(&mut self, line: &str) -> Result<()> {
        let words: Vec<_> = line.split(' ').collect();
        let after = |flag: &str| {
            let at = words.iter().position(|word| *word == flag)?;
            words.get(at + 1).copied()
        };
        let required = |flag: &str| after(flag).with_context(|| format!("`{line}` has no {flag}"));
        ensure!(required("--bootstrap-server")? == self.brokers, "`{line}` is for another cluster");
        ensure!(after("--command-config").is_some(), "`{line}` has no credentials");
        match words[0] {
            "kafka-acls.sh" => {
                let (kind, name) = match after("--topic") {
                    Some(topic) => ("topic", topic),
                    None => ("group", required("--group")?),
                };
                self.allow(required("--allow-principal")?, required("--operation")?, kind, name).await
            }
            "kafka-configs.sh" => {
                let (setting, value) = required("--add-config")?.split_once('=').context("no value")?;
                self.set_topic(required("--entity-name")?, setting, value).await
            }
            "kafka-topics.sh" => {
                let admin = Admin::new(&as_user(&self.brokers, ADMIN))?;
                Ok(admin.add_partitions(required("--topic")?, required("--partitions")?.parse()?).await?)
            }
            _ => bail!("`{line}` is no command of Kafka's"),
        }
    }
}

fn resource_type(kind: &str) -> Result<i8> {
    match kind {
        "topic" => Ok(TOPIC),
        "group" => Ok(GROUP),
        _ => bail!("`{kind}` is no kind of resource"),
    }
}

fn operation_code(operation: &str) -> Result<i8> {
    let code = match operation {
        "Read" => 3,
        "Write" => 4,
        "Create" => 5,
        "Delete" => 6,
        "Describe" => 8,
        "DescribeConfigs" => 10,
        _ => bail!("`{operation}` is no operation"),
    };
    Ok(code)
}
