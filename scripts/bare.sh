# Sourced, not run: how to build for a target without an operating system.
#
#   bare_target <target> [<library>]   finds a way, and says which; the library is
#                                      core, or whatever -Zbuild-std accepts
#   bare_cargo <arguments>             cargo, that way
#
# An installed target is used first. Where none can be had, the library's source
# and a compiler that can build it come from Debian's packages, unpacked into a
# cache folder; nothing is installed. BARE_COMPILER=debian takes that way at once.

bare_cache=${XDG_CACHE_HOME:-$HOME/.cache}/throughline-bare
bare_environment=()
bare_flags=()

bare_target() {
    local target=$1 name=${0##*/}
    bare_flags=(--target "$target")
    if [ "${BARE_COMPILER:-}" != debian ]; then
        if [ -d "$(rustc --print target-libdir --target "$target" 2>/dev/null)" ]; then
            echo "$name: $target is installed"
            return
        elif rustup target add "$target" >/dev/null 2>&1; then
            echo "$name: $target was added by rustup"
            return
        fi
    fi
    echo "$name: building the library for $target with Debian's compiler, unpacked in $bare_cache"
    # The -dev package is for what runs here: build scripts and macros.
    bare_unpack root rustc-web rust-web-src libllvm22 libstd-rust-web-1.96 libstd-rust-web-dev
    local root=$bare_cache/root sysroot host
    sysroot=$(rustc --print sysroot)
    host=$(rustc --print host-tuple)
    bare_environment=(
        LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
        RUSTC="$root/usr/bin/rustc"
        RUSTC_BOOTSTRAP=1
    )
    bare_flags+=("-Zbuild-std=${2:-core}")
    case $target in
    thumb*)
        # Debian's compiler has no linker for it; the toolchain has.
        local variable=${target^^}
        variable=CARGO_TARGET_${variable//-/_}
        bare_environment+=(
            "${variable}_LINKER=$sysroot/lib/rustlib/$host/bin/rust-lld"
            "${variable}_RUSTFLAGS=-C linker-flavor=ld.lld"
        )
        ;;
    esac
}

bare_cargo() {
    local command=$1
    shift
    env "${bare_environment[@]}" cargo "$command" "${bare_flags[@]}" "$@"
}

# Unpacks Debian packages into a folder of the cache, once, without installing.
bare_unpack() {
    local folder=$1
    shift
    [ -e "$bare_cache/$folder.done" ] && return
    local packages=$bare_cache/packages/$folder package
    mkdir -p "$packages" "$bare_cache/$folder"
    (
        cd "$packages"
        bare_apt download -qq "$@"
        for package in *.deb; do dpkg -x "$package" "$bare_cache/$folder"; done
    )
    touch "$bare_cache/$folder.done"
}

# apt-get with lists of its own, so that it needs no rights.
bare_apt() {
    local options=(
        -o Dir::State::Lists="$bare_cache/lists" -o Dir::Cache="$bare_cache/archives"
        -o Debug::NoLocking=1 -o APT::Sandbox::User=
    )
    if [ ! -d "$bare_cache/lists" ]; then
        mkdir -p "$bare_cache/lists" "$bare_cache/archives"
        apt-get "${options[@]}" update -qq
    fi
    apt-get "${options[@]}" "$@"
}
