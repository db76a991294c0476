//! The container around the process.

use throughline_runtime::{DetectError, Detector, Resource};

use crate::{SCHEMA_URL, file};

/// `container.id`, as far as the kernel shows it inside of the container: on Linux,
/// in the name of the control group (version 1) or in the mounts that the container
/// runtime makes (version 2).
/// ([Container](https://opentelemetry.io/docs/specs/semconv/resource/container/))
#[derive(Clone, Copy, Debug)]
pub struct Container;

impl Detector for Container {
    fn name(&self) -> &'static str {
        "container"
    }

    fn detect(&self) -> Result<Resource, DetectError> {
        let groups = file::read("/proc/self/cgroup")?;
        let mounts = file::read("/proc/self/mountinfo")?;
        let id = groups.as_deref().and_then(from_groups);
        let id = id.or_else(|| mounts.as_deref().and_then(from_mounts));
        Ok(match id {
            Some(id) => Resource::empty().with_schema_url(SCHEMA_URL).with("container.id", id),
            None => Resource::empty(),
        })
    }
}

/// `12:pids:/docker/<id>`, `0::/system.slice/docker-<id>.scope`: the last part of
/// the path, between a prefix and a suffix.
fn from_groups(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let name = line.rsplit('/').next()?;
        let name = name.strip_suffix(".scope").unwrap_or(name);
        is_id(name.rsplit(['-', ':']).next()?)
    })
}

/// `… /var/lib/docker/containers/<id>/hostname /etc/hostname …`: the files that the
/// container runtime puts into each of its containers.
fn from_mounts(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(3);
        let (root, target) = (fields.next()?, fields.next()?);
        if !["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"].contains(&target) {
            return None;
        }
        // Podman's is below `…/overlay-containers/<id>/userdata/`.
        root.split('/').skip_while(|part| !part.ends_with("containers")).find_map(is_id)
    })
}

/// 64 hexadecimal digits.
fn is_id(text: &str) -> Option<&str> {
    let is_hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    (text.len() == 64 && is_hex).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f9f2a5f0a2d0cd9a1d4f1b1c0d2e3f4a5b6c7d8e9f00112233445566778899a";

    #[test]
    fn the_id_is_in_the_control_group_or_in_the_mounts() {
        for line in [
            format!("12:pids:/docker/{ID}"),
            format!("0::/system.slice/docker-{ID}.scope"),
            format!("1:name=systemd:/kubepods/burstable/pod12-ab/{ID}"),
            format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"),
            format!("0::/../kubepods-pod1.slice:cri-containerd:{ID}"),
        ] {
            assert_eq!(from_groups(&format!("2:cpu:/\n{line}\n")), Some(ID), "{line}");
        }
        let mounts = format!(
            "1 0 0:1 / / rw - overlay overlay rw\n\
             2 1 8:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/a rw\n"
        );
        assert_eq!(from_mounts(&mounts), Some(ID));
        let podman = format!("2 1 8:1 /x/overlay-containers/{ID}/userdata/hosts /etc/hosts rw\n");
        assert_eq!(from_mounts(&podman), Some(ID));
    }

    #[test]
    fn outside_of_a_container_there_is_none() {
        assert_eq!(from_groups("0::/user.slice/user-1000.slice/session-2.scope\n"), None);
        assert_eq!(from_groups(""), None);
        // Another container's files, mounted elsewhere.
        let other = format!("2 1 8:1 /var/lib/docker/containers/{ID}/hostname /mnt rw - a b c\n");
        assert_eq!(from_mounts(&other), None);
        assert_eq!(from_mounts("1 0 0:1\n\n"), None);
    }
}
