;;; Guix's own definition of GNU Hello, newer, built with the tools of the machine of Fruix's daemon:
;;;
;;;   guix build -L "$(fruix guile-path)" -f examples/guix/hello.scm

(use-modules (fruix build-system host)
             (gnu packages base)
             (guix packages))

(package
  (inherit hello)
  (version "2.12.3")
  (source (origin
            (inherit (package-source hello))
            (uri '("mirror://gnu/hello/hello-2.12.3.tar.gz"
                   "mirror://debian/pool/main/h/hello/hello_2.12.3.orig.tar.gz"))
            (sha256 (base32 "183a6rxnhixiyykd7qis0y9g9cfqhpkk872a245y3zl28can0pqd"))))
  (build-system host-build-system))
