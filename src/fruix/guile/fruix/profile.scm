;;; Profiles that the daemon's host view makes: no Guile in the build, no profile hooks.
;;;
;;; A profile is what Guix's own are: links to the files of its packages, a manifest, and etc/profile with
;;; the search paths.  So Guix's code for generations, listing and 'etc/profile' works on it.  Once this
;;; module is loaded, 'profile-derivation' of (guix profiles) makes profiles so if all of their packages have
;;; the build system 'host', or were installed with it; others are made as before.  In 'guix fruix package'
;;; and 'guix fruix shell', all packages are (see 'use-host-profiles').

(define-module (fruix profile)
  #:use-module (fruix host-view)
  #:use-module (gnu packages)
  #:use-module (guix build-system)
  #:use-module ((guix build utils) #:select (switch-symlinks))
  #:use-module (guix derivations)
  #:use-module (guix gexp)
  #:use-module (guix packages)
  #:use-module (guix profiles)
  #:use-module (guix search-paths)
  #:use-module (guix store)
  #:use-module (ice-9 binary-ports)
  #:use-module (ice-9 iconv)
  #:use-module (ice-9 match)
  #:use-module (ice-9 pretty-print)
  #:use-module (ice-9 textual-ports)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-34)
  #:export (replace!
            use-host-profiles))

(define %builder (string-append (dirname (search-path %load-path "fruix/profile.scm")) "/profile.sh"))
(define manifest* (@@ (guix profiles) make-manifest))
(define %mark '(build-system . host))   ;among the properties of a manifest's entry

(define (host-entry? entry)
  "Whether ENTRY of a manifest and what it brings along were built with the host view."
  (and (match (manifest-entry-item entry)
         ((? package? package) (eq? 'host (build-system-name (package-build-system package))))
         (_ (member %mark (manifest-entry-properties entry))))
       (every host-entry? (manifest-entry-dependencies entry))))

(define (search-path-text spec)
  "A line for the builder: a call of its function search_path."
  (match spec
    (($ <search-path-specification> variable files separator type pattern)
     (string-join
      (map (lambda (word) (string-append "'" (string-join (string-split word #\') "'\\''") "'"))
           (cons* variable (or separator "") (if (eq? type 'directory) "d" "f") (or pattern "") files))
      " " 'prefix))))

(define* (host-profile manifest #:key (name "profile") (allow-collisions? #f) (format-version 4)
                       system #:allow-other-keys)
  "The derivation of a profile of MANIFEST, a monadic value."
  (lambda (store)
    (values (host-profile-derivation store manifest name (or system (%current-system)) allow-collisions?
                                     format-version)
            store)))

(define (host-profile-derivation store manifest name system allow-collisions? format-version)
  (define view (host-view "base" system))
  (define drvs '())
  (define sources '())
  (define (in-store item output)
    (match (if (string? item)
               item
               (run-with-store store (lower-object item system) #:system system))
      ((? derivation? drv)
       (set! drvs (cons (derivation-input drv (list output)) drvs))
       (derivation->output-path drv output))
      (file
       (set! sources (cons (direct-store-path file) sources))
       file)))
  (define (lowered entry)
    (manifest-entry
      (inherit entry)
      (item (in-store (manifest-entry-item entry) (manifest-entry-output entry)))
      (dependencies (map lowered (manifest-entry-dependencies entry)))
      (properties (if (host-entry? entry)
                      (lset-adjoin equal? (manifest-entry-properties entry) %mark)
                      (manifest-entry-properties entry)))))
  (unless allow-collisions?
    (run-with-store store ((@@ (guix profiles) check-for-collisions) manifest system) #:system system))
  (let* ((entries (map lowered (manifest-entries manifest)))
         (code (run-with-store store
                 ((@@ (guix gexp) gexp->sexp)
                  ((@@ (guix profiles) manifest->gexp) (manifest* entries) format-version)
                  system #f)))
         (builder (add-text-to-store store "profile.sh" (call-with-input-file %builder get-string-all)))
         (trees (delete-duplicates
                 (map manifest-entry-item (manifest-transitive-entries (manifest* entries))))))
    (derivation store name "/bin/sh" (list builder)
                #:system system
                #:inputs (delete-duplicates drvs)
                #:sources (delete-duplicates (cons builder sources))
                #:local-build? #t
                #:substitutable? #f
                #:properties `((type . profile) (profile (count . ,(length entries))))
                #:env-vars
                `(("fruixContract" . "fruix")
                  ("fruixHostView" . "base")
                  ("fruixHostViewHash" . ,(host-view-ref view 'fingerprint))
                  ("PATH" . ,(string-join (host-view-ref view 'path) ":"))
                  ("LC_ALL" . "C")
                  ("allowCollisions" . ,(if allow-collisions? "1" ""))
                  ("manifest" . ,(call-with-output-string
                                   (lambda (port)
                                     (display ";; Made by Fruix for Guix.\n\n" port)
                                     (pretty-print code port))))
                  ("searchPaths" . ,(string-concatenate
                                     (map (lambda (spec)
                                            (string-append "search_path" (search-path-text spec) "\n"))
                                          (manifest-search-paths manifest))))
                  ("trees" . ,(string-concatenate (map (lambda (tree) (string-append tree "\n")) trees)))
                  ("passAsFile" . "manifest searchPaths trees")))))

;;; Replacing procedures of Guix.

(define (replace! module name procedure)
  "Let NAME in MODULE be what PROCEDURE returns for its value."
  (let ((variable (module-variable (resolve-module module) name)))
    (variable-set! variable (procedure (variable-ref variable)))))

(define %host-package (make-parameter #f))

(define (hosted entry)
  "ENTRY with the package that %host-package has for its own."
  (manifest-entry
    (inherit entry)
    (item (match (manifest-entry-item entry)
            ((? package? package) ((%host-package) package))
            (item item)))
    (dependencies (map hosted (manifest-entry-dependencies entry)))))

(replace! '(guix profiles) 'profile-derivation
          (lambda (original)
            (lambda (manifest . rest)
              (let ((entries (manifest-entries manifest)))
                (cond ((%host-package)
                       (apply host-profile (manifest* (map hosted entries)) rest))
                      ((and (pair? entries) (every host-entry? entries))
                       (apply host-profile manifest rest))
                      (else (apply original manifest rest)))))))

(define (link-emptiness store profile number)
  "Make an empty profile generation NUMBER of PROFILE."
  (let ((drv (run-with-store store (host-profile (manifest* '())))))
    (build-derivations store (list drv))
    (switch-symlinks (generation-file-name profile number) (derivation->output-path drv))))

(define (host-roll-back original)
  (lambda (store profile)
    (let* ((number (generation-number profile))
           (previous (previous-generation-number profile number)))
      (if (and (file-exists? profile) (positive? number) (zero? previous))
          (begin
            (link-emptiness store profile previous)
            (values (switch-to-generation profile previous) previous))
          (original store profile)))))

(define (host-delete-generation original)
  (lambda (store profile number)
    (when (and (positive? number) (= number (generation-number profile)))
      (roll-back store profile))
    (original store profile number)))

(define (use-host-profiles host-package)
  "From now on, make all profiles with the host view, of what HOST-PACKAGE returns for their packages."
  (%host-package host-package)
  (replace! '(gnu packages) 'find-best-packages-by-name
            (lambda (original)
              (lambda (name version) (map host-package (original name version)))))
  (replace! '(guix profiles) 'roll-back host-roll-back)
  (replace! '(guix profiles) 'delete-generation host-delete-generation))

;;; What builders of profiles object to.  Guix says of a build that fails only where its log is.

(define (host-profile? drv)
  (and (derivation? drv) (assoc "searchPaths" (derivation-builder-environment-vars drv))))

(define (call-with-copy proc)
  "Call PROC while what builders say is kept, too, with a procedure that returns that."
  (define original (current-build-output-port))
  (define-values (kept get-kept) (open-bytevector-output-port))
  (define (write-both! bytes start count)
    (put-bytevector original bytes start count)
    (force-output original)
    (put-bytevector kept bytes start count)
    count)
  (define both (make-custom-binary-output-port "copy" write-both! #f #f #f))
  (setvbuf both 'none)
  (parameterize ((current-build-output-port both))
    (proc (lambda () (bytevector->string (get-kept) "UTF-8" 'substitute)))))

(define (say-objections text)
  "Print those lines of TEXT that come from a builder of profiles."
  (for-each (lambda (line)
              (when (string-prefix? "profile: " line)
                (format (current-error-port) "~a~%" line)))
            (string-split text #\newline)))

(replace! '(guix derivations) 'build-derivations
          (lambda (original)
            (lambda (store drvs . rest)
              (if (any host-profile? drvs)
                  (call-with-copy
                   (lambda (said)
                     (guard (c ((store-protocol-error? c)
                                (say-objections (said))
                                (raise c)))
                       (apply original store drvs rest))))
                  (apply original store drvs rest)))))
