;; A commit, as a package's source names one; where it is and its hash come from the environment.
(use-modules (guix packages) (guix git-download) (guix base32))

(origin
  (method git-fetch)
  (uri (git-reference (url (getenv "URL")) (commit (getenv "COMMIT"))))
  (file-name "thing-checkout")
  (sha256 (nix-base32-string->bytevector (getenv "HASH"))))
