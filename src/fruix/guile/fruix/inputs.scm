;;; What a host view has in place of packages.

(define-module (fruix inputs)
  #:use-module (fruix host-view)
  #:export (%implicit
            view-prefix
            in-view?))

;; Package → the program that stands for it; other packages are called as their program is.
(define %programs
  '(("bash" . "sh") ("bash-minimal" . "sh") ("binutils" . "ld") ("coreutils" . "ls")
    ("coreutils-minimal" . "ls") ("diffutils" . "diff") ("findutils" . "find") ("gcc" . "gcc")
    ("gcc-toolchain" . "gcc") ("libc" . "cc") ("gawk" . "awk") ("gettext-minimal" . "msgfmt")
    ("pkg-config" . "pkg-config") ("python" . "python3") ("python-minimal" . "python3")
    ("python-wrapper" . "python3") ("util-linux" . "hexdump")))

;; Of these inputs a result wants programs only, so those of the view do.
(define %run-time-programs
  '("bash" "bash-minimal" "coreutils" "coreutils-minimal" "diffutils" "findutils" "gawk" "grep"
    "gzip" "sed" "tar" "which"))

;; Native inputs that releases don't need to be built: what they make is in the archive already, or a
;; test wants them, and does without.  They are left out where the view doesn't have them.
(define %dispensable
  '("autoconf" "autoconf-wrapper" "automake" "ed" "gettext-minimal" "glibc-utf8-locales" "help2man" "libtool"
    "perl" "pkg-config" "texinfo"))

;; Labels that phases may ask for without naming an input.
(define %implicit
  '("bash" "binutils" "bzip2" "coreutils" "diffutils" "file" "findutils" "gawk" "gcc" "grep" "gzip" "libc"
    "make" "patch" "sed" "tar" "xz"))

(define (view-file view name)
  (host-view-program view (or (assoc-ref %programs name) name)))

(define (view-prefix view name)
  "The directory above the directory of VIEW's program for the package called NAME."
  (and=> (view-file view name) (compose dirname dirname)))

(define (in-view? view name native?)
  "Whether nothing has to be built for the input called NAME, which builders (NATIVE?) or results need."
  (or (and native? (member name %dispensable))
      (and (or native? (member name %run-time-programs)) (view-file view name))))
