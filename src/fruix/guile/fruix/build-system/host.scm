;;; Any Guix package with the tools of the machine of Fruix's daemon.
;;;
;;; 'host-build-system' builds what 'gnu-build-system' builds: ./configure, make, make check, make
;;; install, run by /bin/sh, in the daemon's sandbox, where its host view (see (fruix host-view)) stands
;;; in for Guix's toolchain.  Inputs are lowered by the same build system, down to what the view has.
;;; '(fruix-host-package PACKAGE)' is a package of Guix's own with this build system.
;;;
;;; The package's own arguments hold: #:configure-flags, #:make-flags, #:phases, #:tests?, #:test-target,
;;; #:parallel-build?, #:parallel-tests?, #:out-of-source?.  Their code is run when the package is lowered
;;; (see (fruix shell)); what can't be run so is an error with the argument's or the phase's name.  Of our
;;; own are #:host-view ("base"), and #:skip-phases, a list of names of phases that are not needed here.

(define-module (fruix build-system host)
  #:use-module (fruix commands)
  #:use-module (fruix host-view)
  #:use-module (fruix inputs)
  #:use-module (fruix phases)
  #:use-module (fruix profile)          ;profiles of these packages are made with the host view, too
  #:use-module (fruix replacements)
  #:use-module (fruix shell)
  #:use-module (guix build-system)
  #:use-module ((guix build utils) #:select (package-name->name+version))
  #:use-module (guix derivations)
  #:use-module (guix diagnostics)
  #:use-module (guix gexp)
  #:use-module (guix i18n)
  #:use-module (guix memoization)
  #:use-module (guix monads)
  #:use-module (guix packages)
  #:use-module (guix store)
  #:use-module ((guix utils) #:select (nix-system->gnu-triplet strip-keyword-arguments))
  #:use-module (ice-9 match)
  #:use-module (srfi srfi-1)
  #:use-module (srfi srfi-11)
  #:use-module (srfi srfi-26)
  #:export (host-build-system
            fruix-host-package))

(define (host-inputs view inputs native?)
  "Those of INPUTS that have to be built, as packages with this build system."
  (filter-map
   (match-lambda
     ((label (? package? package) rest ...)
      (and (not (in-view? view (package-name package) native?))
           (cons* label (fruix-host-package package) rest)))
     (other other))
   inputs))

(define fruix-host-package
  (mlambdaq (original)
    "ORIGINAL, or what replaces it in Guix (a graft), built with the host view."
    (let ((original (or (package-replacement original) original)))
      (unless (memq (build-system-name (package-build-system original)) '(gnu host))
        (leave (package-location original)
               (G_ "~a: its build system is '~a'; with the host view only packages of 'gnu' are built~%")
               (package-full-name original) (build-system-name (package-build-system original))))
      (package/inherit original
        (replacement #f)
        (propagated-inputs (map (match-lambda
                                  ((label (? package? package) rest ...)
                                   (cons* label (fruix-host-package package) rest))
                                  (other other))
                                (package-propagated-inputs original)))
        (build-system host-build-system)))))

;;; Code in arguments.

(define (resolve code name->directory lower)
  "CODE, G-expressions or not, as an expression without references to objects."
  (match code
    ((? gexp?)
     (apply ((@@ (guix gexp) gexp-proc) code)
            (map (cut resolve <> name->directory lower) ((@@ (guix gexp) gexp-references) code))))
    ((? gexp-input?)
     (match (gexp-input-thing code)
       ((things ...) (map (cut resolve <> name->directory lower) things))
       ((? package? package) (name->directory (package-name package) (gexp-input-output code)))
       (thing (resolve thing name->directory lower))))
    ((? (@@ (guix gexp) gexp-output?))
     (expansion (string-append "$" ((@@ (guix gexp) gexp-output-name) code))))
    ((? package?) (name->directory (package-name code) "out"))
    ((? file-append?)
     (string-append (resolve (file-append-base code) name->directory lower)
                    (string-concatenate (file-append-suffix code))))
    ((? struct?) (lower code))
    ((first . rest)
     (cons (resolve first name->directory lower) (resolve rest name->directory lower)))
    (_ code)))

(define-syntax-rule (evaluating owner what body ...)
  "Run BODY; whatever it raises ends the program, with the names of the package and of what is wrong."
  (catch #t
    (lambda () body ...)
    (lambda (key . arguments)
      (if (eq? key 'quit)
          (apply throw key arguments)
          (leave (G_ "~a: ~a can't be run with the host view, which has no Guile: ~a~%~a~%")
                 owner what (reason key arguments)
                 "hint: give the package another, or leave a phase out by #:skip-phases")))))

(define (reason key arguments)
  (match (cons key arguments)
    (('unbound-variable _ _ (name) _ ...) (format #f "it uses '~a'" name))
    ((_ _ (? string? text) (values ...) _ ...) (apply format #f text values))
    (_ (format #f "~a ~s" key arguments))))

;;; Lowering.

(define* (lower name #:key inputs native-inputs outputs system target (host-view "base")
                #:allow-other-keys #:rest arguments)
  "The bag of a package."
  (when target
    (leave (G_ "~a: nothing is cross-compiled with the host view~%") name))
  (let ((view (view-of host-view system)))
    (bag
      (name name)
      (system system)
      (build-inputs (host-inputs view native-inputs #t))
      (host-inputs (host-inputs view inputs #f))
      (outputs outputs)
      (build host-build)
      (arguments `(#:native ,(map first native-inputs)
                   #:stopped ,(map first (append inputs native-inputs))
                   ,@(strip-keyword-arguments '(#:target #:inputs #:native-inputs #:outputs #:system)
                                              arguments))))))

(define view-of (@ (fruix host-view) host-view))

(define (host-build name inputs . arguments)
  "The derivation of NAME, a monadic value."
  (lambda (store)
    (values (apply host-derivation store name inputs arguments) store)))

(define (lowered store object system)
  "The file name of OBJECT in the store, and its derivation or #f."
  (match (run-with-store store (lower-object object system) #:system system)
    ((? derivation? drv) (values (derivation->output-path drv) drv))
    ((? string? file) (values file #f))))

(define* (host-derivation store name inputs
                          #:key source outputs system (host-view "base") native stopped
                          (configure-flags ''()) (make-flags ''()) (phases '%standard-phases)
                          (skip-phases '()) (tests? #t) (test-target "check") (parallel-build? #t)
                          (parallel-tests? #t) (out-of-source? #f)
                          #:allow-other-keys)
  (define view (view-of host-view system))
  (define drvs '())                     ;derivation inputs
  (define sources '())                  ;file names of sources
  (define (need! file drv)
    (if drv
        (set! drvs (cons (derivation-input drv) drvs))
        (set! sources (cons file sources)))
    file)
  (define (lower object)
    (call-with-values (lambda () (lowered store object system)) need!))
  (define in-code '())                  ;(file . derivation) of objects in code, which may not be run
  (define (lower-in-code object)
    (let-values (((file drv) (lowered store object system)))
      (set! in-code (alist-cons file drv in-code))
      file))
  (define built                         ;(label directory output)
    (map (match-lambda
           ((label (? gexp-input? input))
            (let ((drv (gexp-input-thing input)) (output (gexp-input-output input)))
              (if (derivation? drv)
                  (begin
                    (set! drvs (cons (derivation-input drv (list output)) drvs))
                    (list label (derivation->output-path drv output) output))
                  (list label (lower drv) "out")))))
         inputs))
  (define directories
    `(,@(map (match-lambda ((label directory _) (cons label directory))) built)
      ,@(filter-map (lambda (label) (and=> (view-prefix view label) (cut cons label <>)))
                    (append stopped %implicit))))
  (define (input-directory input output)
    (or (any (match-lambda
               ((label directory own)
                (and (string=? own output) (member label (list input (string-append input ":" output)))
                     directory)))
             built)
        (view-prefix view input)
        (error "it refers to a package that is no input, and that the host view doesn't have:" input)))
  (define module (phase-module view directories))
  (define (run code)
    (eval (resolve code input-directory lower-in-code) module))
  (define arguments-text '())
  (define (value-of what code)
    (let-values (((text value) (recorded (string-append "fruix_" (string-filter char-alphabetic? what))
                                         (lambda () (evaluating name what (run code))))))
      (set! arguments-text (cons text arguments-text))
      value))
  (define (flags what code)
    (let ((value (value-of what code)))
      (if (and (list? value) (every string? value))
          value
          (leave (G_ "~a: ~a is no list of strings: ~s~%") name what value))))
  (define outputs-alist
    (map (lambda (output) (cons output (expansion (string-append "$" output)))) outputs))
  (module-define! module '%outputs outputs-alist)
  (module-define! module '%output (expansion "$out"))
  (define configure (flags "#:configure-flags" configure-flags))
  (define make (flags "#:make-flags" make-flags))
  (define test? (value-of "#:tests?" tests?))
  (define standard
    (map (match-lambda ((phase . text) (cons phase (lambda _ (emit text)))))
         (standard-phases #:outputs outputs #:patch-options (resolve (patch-options source)
                                                                      input-directory lower-in-code)
                          #:configure-flags configure #:make-flags make
                          #:test-target test-target #:tests? test?
                          #:parallel-build? parallel-build? #:parallel-tests? parallel-tests?
                          #:out-of-source? out-of-source?)))
  (module-define! module '%standard-phases standard)
  (define-values (base-name version) (package-name->name+version name))
  (define (phase-text phase code)
    (recorded
     "fruix"
     (lambda ()
       (evaluating name (format #f "its phase '~a'" phase)
                   ((or (and=> (replacement base-name phase) run) code)
                    #:version version
                    #:inputs directories #:native-inputs #f #:outputs outputs-alist
                    #:configure-flags configure #:make-flags make #:tests? test?
                    #:test-target test-target #:parallel-build? parallel-build?
                    #:parallel-tests? parallel-tests? #:source (expansion "$source")
                    #:system system #:build (nix-system->gnu-triplet system) #:target #f)))))
  (define all-phases
    (with-snippet source (value-of "#:phases" phases)
                  (lambda (code) (lambda _ (run code)))))
  (define text
    (builder-text
     (alist-cons
      'arguments (string-join (reverse arguments-text) "\n")
      (filter-map (match-lambda
                    ((phase . code) (and (not (memq phase skip-phases))
                                         (cons phase (phase-text phase code)))))
                  all-phases))))
  (for-each (match-lambda ((file . drv) (when (string-contains text file) (need! file drv)))) in-code)
  (define (add name text)
    (let ((file (add-text-to-store store name text)))
      (set! sources (cons file sources))
      file))
  (define (listed native?)
    (string-concatenate
     (filter-map (match-lambda
                   ((label directory _) (and (eq? native? (and (member label native) #t))
                                             (string-append directory "\n"))))
                 built)))
  (define patches (if (origin? source) (origin-patches source) '()))
  (define variables
    `(("fruixContract" . "fruix")
      ("fruixHostView" . ,host-view)
      ("fruixHostViewHash" . ,(host-view-ref view 'fingerprint))
      ("PATH" . ,(string-join (host-view-ref view 'path) ":"))
      ("LC_ALL" . "C") ("TZ" . "UTC") ("SOURCE_DATE_EPOCH" . "315619200")
      ("pname" . ,base-name) ("version" . ,(or version ""))
      ("setUp" . ,(add "builder-set-up.sh" (set-up-text)))
      ("source" . ,(if source (lower (plain-source source)) ""))
      ("patches" . ,(string-join (map (cut patch-file store <> lower) patches)))
      ("patchFuzz" . "2")
      ("inputs" . ,(listed #f)) ("nativeInputs" . ,(listed #t))
      ("passAsFile" . "inputs nativeInputs")))
  (define builder (add "host-builder.sh" text))
  (derivation store name "/bin/sh" (list builder)
              #:system system #:outputs outputs
              #:inputs (delete-duplicates drvs)
              #:sources (delete-duplicates sources)
              #:env-vars variables))

(define (plain-source source)
  "SOURCE as it is published; patches are applied, and snippets run, by the builder."
  (if (origin? source)
      (origin (inherit source) (patches '()) (snippet #f))
      source))

(define (patch-options source)
  "What patches of SOURCE need: a list of options of patch(1), or a G-expression of one."
  (if (origin? source) (origin-patch-flags source) '("-p1")))

(define (patch-file store patch lower)
  (if (string? patch)
      (lower (local-file patch (basename patch)))
      (lower patch)))

(define (with-snippet source phases run)
  "PHASES, with the code of SOURCE's snippet run after its patches."
  (match (and (origin? source) (origin-snippet source))
    (#f phases)
    (code
     (append-map (match-lambda
                   (('patch . apply-patches)
                    `((patch . ,apply-patches) (snippet . ,(run code))))
                   (other (list other)))
                 phases))))

(define host-build-system
  (build-system
    (name 'host)
    (description "The GNU Build System, with the tools of a Fruix daemon's machine")
    (lower lower)))
