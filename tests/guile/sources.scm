;;; A package for each way that a source can come: http, https, mirror, file, local, kept.
;;; Arguments of the environment: ARCHIVES, a directory with NAME-1.tar.gz; HTTP and HTTPS, addresses of servers of it.

(use-modules (fruix build-system host)
             ((gcrypt hash) #:select (file-sha256))
             (guix download)
             (guix gexp)
             (guix packages))

(define (archive name)
  (string-append name "-1.tar.gz"))

(define (fetched name address)
  (origin
    (method url-fetch)
    (uri (string-append address "/" (archive name)))
    (sha256 (file-sha256 (string-append (getenv "ARCHIVES") "/" (archive name))))))

(define (tiny name* source*)
  (package
    (name name*)
    (version "1")
    (source source*)
    (build-system host-build-system)
    (synopsis "-")
    (description "-")
    (license #f)
    (home-page #f)))

(list (tiny "http" (fetched "http" (getenv "HTTP")))
      (tiny "https" (fetched "https" (getenv "HTTPS")))
      (tiny "mirror" (fetched "mirror" "mirror://gnu/tiny"))
      (tiny "file" (fetched "file" (string-append "file://" (getenv "ARCHIVES"))))
      (tiny "local" (local-file (string-append (getenv "ARCHIVES") "/" (archive "local"))))
      (tiny "kept" (fetched "kept" "http://127.0.0.1:1")))
