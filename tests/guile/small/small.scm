;;; Packages of two lines of makefile for tests of profiles: nothing is fetched.

(define-module (small)
  #:use-module (fruix build-system host)
  #:use-module (guix build-system gnu)
  #:use-module (guix gexp)
  #:use-module (guix packages)
  #:use-module (guix search-paths))

(define* (small name version #:key (motto "be small") (propagated '()))
  (package
    (name name)
    (version version)
    (source (local-file "source" "small" #:recursive? #t))
    (build-system host-build-system)
    (arguments (list #:make-flags #~(list (string-append "NAME=" #$name) (string-append "SAYS=" #$name " " #$version)
                                          (string-append "MOTTO=" #$motto))))
    (propagated-inputs propagated)
    (native-search-paths
     (list (search-path-specification (variable "SMALL_PATH") (files '("share/small")))
           (search-path-specification (variable "SMALL_MOTTO") (files '("share/motto"))
                                      (separator #f) (file-type 'regular))))
    (synopsis "Says its name")
    (description "It says its name and version.")
    (home-page "https://example.org/")
    (license #f)))

(define-public small-one (small "small-one" "1.0"))
;; Of Guix's own build system, as most packages.
(define-public small-gnu
  (package
    (inherit (small "small-gnu" (or (getenv "SMALL_VERSION") "1.0")))
    (build-system gnu-build-system)))
(define-public small-brought (small "small-brought" "1.0"))
(define-public small-two (small "small-two" "1.0" #:propagated (list small-brought)))
(define-public small-rival (small "small-rival" "1.0" #:motto "be big"))
