//! `reduce FROM TO`: takes a descriptor set of Temporal's API, as the build of the crate `temporalio-protos` leaves it
//! (`descriptors.bin`), and writes what the table speaks of, without comments.

use std::collections::BTreeSet;

use anyhow::Context as _;
use prost::Message as _;
use prost_reflect::{DescriptorPool, Kind, MessageDescriptor};
use prost_types::FileDescriptorSet;
use temporal::table::Table;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (from, to) = arguments.next().zip(arguments.next()).context("usage: reduce FROM TO")?;
    let bytes = std::fs::read(&from).with_context(|| format!("{from} cannot be read"))?;
    let pool = DescriptorPool::decode(bytes.as_slice())?;
    let mut kept = BTreeSet::new();
    for section in Table::read()?.sections.keys() {
        let message = pool.get_message_by_name(section).with_context(|| format!("there is no message {section}"))?;
        reach(&message, &mut kept);
    }
    let mut set = FileDescriptorSet::decode(bytes.as_slice())?;
    for file in &mut set.file {
        let package = file.package().to_owned();
        file.service.clear();
        file.source_code_info = None;
        file.extension.clear();
        file.message_type.retain(|message| kept.contains(&format!("{package}.{}", message.name())));
        file.enum_type.retain(|one| kept.contains(&format!("{package}.{}", one.name())));
    }
    set.file.retain(|file| !file.message_type.is_empty() || !file.enum_type.is_empty());
    let files: BTreeSet<_> = set.file.iter().map(|file| file.name().to_owned()).collect();
    for file in &mut set.file {
        file.dependency.retain(|name| files.contains(name));
        file.public_dependency.clear();
        file.weak_dependency.clear();
        file.options = None;
    }
    std::fs::write(&to, set.encode_to_vec()).with_context(|| format!("{to} cannot be written"))
}

/// The message, with everything that its fields are made of; of a nested type, its outermost one.
fn reach(message: &MessageDescriptor, kept: &mut BTreeSet<String>) {
    let outermost = |mut one: MessageDescriptor| {
        while let Some(parent) = one.parent_message() {
            one = parent;
        }
        one
    };
    if !kept.insert(outermost(message.clone()).full_name().to_owned()) && message.parent_message().is_none() {
        return;
    }
    for child in message.child_messages() {
        reach(&child, kept);
    }
    for field in message.fields() {
        match field.kind() {
            Kind::Message(inner) if !kept.contains(outermost(inner.clone()).full_name()) => {
                reach(&outermost(inner), kept);
            }
            Kind::Enum(one) => match one.parent_message() {
                Some(parent) => reach(&outermost(parent), kept),
                None => drop(kept.insert(one.full_name().to_owned())),
            },
            _ => {}
        }
    }
}
